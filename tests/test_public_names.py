"""What ``import mtrl`` shows."""

import subprocess
import sys

import mtrl


def test_the_package_shows_its_names_and_imports_them_when_they_are_used():
    code = (
        "import sys, mtrl\n"
        "assert {*mtrl.__all__, 'aggregators', 'errors'} <= set(dir(mtrl))\n"
        "assert not {'Any', 'import_module', 'iter_modules'} & set(dir(mtrl))\n"
        "assert mtrl.__version__\n"
        "assert not {'torch', 'hydra'} & set(sys.modules)\n"
        "assert mtrl.aggregators.CAGrad(2).num_tasks == 2\n"
        "assert mtrl.TrainingConfig().batch_size == 128\n"
        "assert 'hydra' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_no_other():
    for name in mtrl.__all__:
        assert getattr(mtrl, name) is not None
    assert not hasattr(mtrl, "no_such_name")
    assert mtrl.load.__doc__
