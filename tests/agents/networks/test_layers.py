import torch


def test_a_stack_is_n_linear_layers(layers):
    stack = layers.stack(3, 5, 2)
    rows = torch.randn(3, 6, 5)
    each = [
        torch.nn.functional.linear(x, w, b) for x, w, b in zip(rows, stack.weight, stack.bias, strict=True)
    ]
    torch.testing.assert_close(stack(rows), torch.stack(each))
    torch.testing.assert_close(stack(rows[0]), stack(rows[0].expand(3, -1, -1)))


def test_a_weighted_stack_is_the_weighted_sum_of_its_layers(layers):
    stack = layers.stack(3, 5, 2)
    rows, weights = torch.randn(6, 5), torch.randn(3)
    torch.testing.assert_close(stack(rows, weights), torch.einsum("n,nbo->bo", weights, stack(rows)))
