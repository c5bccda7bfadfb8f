/* A stand-in for NVIDIA's library, for hosts without a GPU.

   Its answers come from the text file that $STAND_IN_NVML names, read anew at every call:

     init CODE                                         what initialising returns (without it: 0)
     gpu UUID TOTAL USED BUSY POWER ENERGY NAME...      a device: bytes, bytes, percent, mW, mJ
     process GPU PID BYTES                             a process on the device with this number
     fails GPU CODE                                    what every call for this device returns

   A figure below 0 is one that the device does not give. The functions and structures are those
   of NVIDIA's nvml.h that the agent's wrapper calls. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };
enum { MOST = 32, NAME_BYTES = 96 };

typedef struct {
  char uuid[NAME_BYTES], name[NAME_BYTES];
  long long total, used, busy, power, energy;
  int fails;
} Gpu;

typedef struct {
  int gpu;
  unsigned pid;
  long long bytes;
} Process;

typedef struct {
  int init, gpu_count, process_count;
  Gpu gpus[MOST];
  Process processes[MOST];
} State;

typedef struct {
  unsigned version;
  unsigned long long total, reserved, free, used;
} Memory;

typedef struct {
  unsigned gpu, memory;
} Utilization;

typedef struct {
  unsigned pid;
  unsigned long long used_gpu_memory;
  unsigned gpu_instance, compute_instance;
} ProcessInfo;

static void read_state(State *state) {
  char line[512];
  const char *path = getenv("STAND_IN_NVML");
  FILE *file = path ? fopen(path, "r") : NULL;
  memset(state, 0, sizeof *state);
  if (!file) {
    state->init = DRIVER_NOT_LOADED;
    return;
  }
  while (fgets(line, sizeof line, file)) {
    Gpu *gpu = &state->gpus[state->gpu_count];
    Process *process = &state->processes[state->process_count];
    int number, code;
    if (sscanf(line, "init %d", &code) == 1) {
      state->init = code;
    } else if (state->gpu_count < MOST &&
               sscanf(line, "gpu %95s %lld %lld %lld %lld %lld %95[^\n]", gpu->uuid, &gpu->total, &gpu->used,
                      &gpu->busy, &gpu->power, &gpu->energy, gpu->name) == 7) {
      state->gpu_count++;
    } else if (state->process_count < MOST &&
               sscanf(line, "process %d %u %lld", &process->gpu, &process->pid, &process->bytes) == 3) {
      state->process_count++;
    } else if (sscanf(line, "fails %d %d", &number, &code) == 2 && number >= 0 && number < MOST) {
      state->gpus[number].fails = code;
    }
  }
  fclose(file);
}

/* A handle is the number of the device and 1. */
static int find(void *handle, State *state, Gpu **gpu) {
  long number = (long)handle - 1;
  read_state(state);
  if (state->init)
    return state->init;
  if (number < 0 || number >= state->gpu_count)
    return INVALID_ARGUMENT;
  *gpu = &state->gpus[number];
  return (*gpu)->fails;
}

int nvmlInit_v2(void) {
  State state;
  read_state(&state);
  return state.init;
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  snprintf(text, length, "570.0");
  return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  State state;
  read_state(&state);
  *count = state.gpu_count;
  return state.init;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  State state;
  Gpu *gpu;
  *handle = (void *)(long)(index + 1);
  return find(*handle, &state, &gpu);
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned length) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code)
    snprintf(text, length, "%s", gpu->uuid);
  return code;
}

int nvmlDeviceGetName(void *handle, char *text, unsigned length) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code)
    snprintf(text, length, "%s", gpu->name);
  return code;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, Memory *memory) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code && gpu->used < 0)
    return NOT_SUPPORTED;
  if (!code) {
    memory->total = gpu->total;
    memory->used = gpu->used;
    memory->free = gpu->total - gpu->used;
  }
  return code;
}

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *utilization) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code && gpu->busy < 0)
    return NOT_SUPPORTED;
  if (!code)
    utilization->gpu = gpu->busy;
  return code;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code && gpu->power < 0)
    return NOT_SUPPORTED;
  if (!code)
    *milliwatts = gpu->power;
  return code;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
  State state;
  Gpu *gpu;
  int code = find(handle, &state, &gpu);
  if (!code && gpu->energy < 0)
    return NOT_SUPPORTED;
  if (!code)
    *millijoules = gpu->energy;
  return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, ProcessInfo *list) {
  State state;
  Gpu *gpu;
  unsigned room = *count;
  int code = find(handle, &state, &gpu);
  if (code)
    return code;
  *count = 0;
  for (int i = 0; i < state.process_count; i++) {
    if (state.processes[i].gpu != (long)handle - 1)
      continue;
    if (*count < room) {
      ProcessInfo info = {state.processes[i].pid, state.processes[i].bytes, ~0u, ~0u};
      list[*count] = info;
    }
    ++*count;
  }
  return *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, ProcessInfo *list) {
  State state;
  Gpu *gpu;
  (void)list;
  *count = 0;
  return find(handle, &state, &gpu);
}
