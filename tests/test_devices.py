"""Devices by name, and encoding in a forked process."""

import os
import subprocess
import sys

import pytest
import torch

from gw_agents.devices import resolve_device
from gw_envs.errors import InputError

FORKED = """
import os, numpy as np, torch
from gw_agents import GlobalWorkspace
torch.set_num_threads(2)
gw = GlobalWorkspace.from_pretrained("simple_shapes", "cpu")
batch = {"image": np.zeros((64, 32, 32, 3), np.uint8)}
z = gw.encode(batch)
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, gw.encode(batch).tobytes())
    os._exit(0)
found = np.frombuffer(os.read(reader, z.nbytes), np.float32).reshape(z.shape)
assert np.allclose(found, z, atol=1e-5)
print(torch.get_num_threads())
"""


def test_devices_by_name():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "cpu:3", "meta", "cuda:99", None, 5, 1.5])
def test_a_device_that_is_not_there_is_one_sentence(device):
    with pytest.raises(InputError, match=r"device .*choose auto"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none():
    for device in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match="PyTorch finds no CUDA device"):
            resolve_device(device)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_process_forked_after_torch_used_two_threads_encodes():
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2", "the parent keeps its threads"
