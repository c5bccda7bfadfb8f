"""A task that reads which GPUs it holds, and uses them: `ictasks` writes their ids into `gpu_ids.txt`.

    launch_cmd: "python gpu_script.py"

It fills some memory of each device and reads it back, by the CUDA driver alone (`libcuda.so.1`). A program of your own
would hand the ids on, for instance `torch.device("cuda", id)`, or set `CUDA_VISIBLE_DEVICES` before it starts.
"""

import ctypes
import os
import sys
from pathlib import Path

from ictasks.task import get_gpu_ids

BYTES = 1 << 20


def checked(code: int, what: str) -> None:
    """Ends the script where the driver refuses."""
    if code != 0:
        sys.exit(f"{what}: the CUDA driver says {code}")


def use(cuda: ctypes.CDLL, gpu_id: int) -> int:
    """Writes the id into every byte of a block on the device, and returns the sum of what is read back."""
    device, context, block = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    checked(cuda.cuDeviceGet(ctypes.byref(device), gpu_id), f"device {gpu_id}")
    checked(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device), f"context on device {gpu_id}")
    checked(cuda.cuMemAlloc_v2(ctypes.byref(block), ctypes.c_size_t(BYTES)), f"memory on device {gpu_id}")
    checked(cuda.cuMemsetD8_v2(block, ctypes.c_ubyte(gpu_id), ctypes.c_size_t(BYTES)), "fill")
    back = ctypes.create_string_buffer(BYTES)
    checked(cuda.cuMemcpyDtoH_v2(back, block, ctypes.c_size_t(BYTES)), "copy")
    checked(cuda.cuMemFree_v2(block), "free")
    checked(cuda.cuCtxDestroy_v2(context), "end")
    return sum(back.raw)


def main() -> None:
    """Uses every GPU that the task holds."""
    gpu_ids = get_gpu_ids(Path.cwd())
    print("gpu ids:", *gpu_ids)
    # The ids count as the PCI bus does; CUDA does so only where it is told.
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        sys.exit("there is no CUDA driver on this host")
    checked(cuda.cuInit(0), "start")
    for gpu_id in gpu_ids:
        total = use(cuda, gpu_id)
        if total != gpu_id * BYTES:
            sys.exit(f"device {gpu_id}: {BYTES} bytes of {gpu_id} add up to {total}")
        print(f"device {gpu_id}: {BYTES} bytes written and read back")


if __name__ == "__main__":
    main()
