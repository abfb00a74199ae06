import torch

from mtrl.agents.networks.layers import Layers


def layers(**options):
    return Layers(torch.device("cpu"), torch.Generator().manual_seed(0), **options)


def test_a_bank_is_its_linear_layers_side_by_side():
    bank, maker = layers().bank(3, 4, 5), layers()
    linears = [maker.linear(4, 5) for _ in range(3)]
    torch.nn.init.normal_(bank.bias)
    for row, linear in enumerate(linears):
        linear.bias.data.copy_(bank.bias[row])
    common, own = torch.randn(7, 4), torch.randn(3, 7, 4)
    torch.testing.assert_close(bank(common), torch.stack([linear(common) for linear in linears]))
    torch.testing.assert_close(
        bank(own), torch.stack([linear(rows) for linear, rows in zip(linears, own, strict=True)])
    )


def test_networks_side_by_side_are_networks():
    several = layers(layer_norm=True).bank_mlp(2, 4, [6, 5], 3)
    obs = torch.randn(7, 4)
    for row in range(2):
        features = obs
        for layer in several:
            if hasattr(layer, "bias") and layer.weight.ndim == 3:
                features = features @ layer.weight[row] + layer.bias[row]
            else:
                features = layer(features)
        torch.testing.assert_close(several(obs)[row], features)


def test_a_weighted_bank_is_the_weighted_sum_of_its_layers():
    bank = layers().bank(3, 5, 2)
    rows, weights = torch.randn(6, 5), torch.randn(3)
    torch.testing.assert_close(bank(rows, weights), torch.einsum("n,nbo->bo", weights, bank(rows)))
