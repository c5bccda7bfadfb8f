/* A stand-in for NVIDIA's CUDA driver, for hosts without a GPU: "memory of a device" is memory of the process.

   There are as many devices as $STAND_IN_CUDA says; the functions are those that mocks/gpu_script.py calls. */

#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101 };

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }

int cuDeviceGet(int *device, int ordinal) {
  const char *count = getenv("STAND_IN_CUDA");
  *device = ordinal;
  return ordinal >= 0 && ordinal < atoi(count ? count : "0") ? SUCCESS : INVALID_DEVICE;
}

int cuCtxCreate_v2(void **context, unsigned flags, int device) {
  (void)flags;
  (void)device;
  *context = malloc(1);
  return SUCCESS;
}

int cuCtxDestroy_v2(void *context) {
  free(context);
  return SUCCESS;
}

int cuMemAlloc_v2(unsigned long long *block, size_t bytes) {
  *block = (unsigned long long)malloc(bytes);
  return *block ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemsetD8_v2(unsigned long long block, unsigned char value, size_t count) {
  memset((void *)block, value, count);
  return SUCCESS;
}

int cuMemcpyDtoH_v2(void *host, unsigned long long block, size_t bytes) {
  memcpy(host, (void *)block, bytes);
  return SUCCESS;
}

int cuMemFree_v2(unsigned long long block) {
  free((void *)block);
  return SUCCESS;
}
