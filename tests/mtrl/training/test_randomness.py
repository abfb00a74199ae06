import torch

from mtrl.training.randomness import generator_states, load_generator_states

CPU = torch.device("cpu")


def test_states_of_another_kind_of_device_start_anew_from_seed_and_step():
    generator, said = torch.Generator().manual_seed(3), []
    state = generator_states(generator, CPU) | {"generator": torch.zeros(16, dtype=torch.uint8)}
    drawn = []
    for step in (10, 10, 20):
        load_generator_states(state, generator.manual_seed(3), CPU, step, said.append)
        drawn.append((torch.rand((), generator=generator).item(), torch.rand(()).item()))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]).isdisjoint(drawn[2])
    assert "random numbers start anew from the seed and the step" in said[0]


def test_states_of_the_same_kind_go_on():
    generator, said = torch.Generator().manual_seed(3), []
    state = generator_states(generator, CPU)
    expected = [torch.rand(3, generator=generator), torch.rand(3)]
    load_generator_states(state, generator, CPU, 10, said.append)
    assert not said
    assert all(map(torch.equal, [torch.rand(3, generator=generator), torch.rand(3)], expected))
