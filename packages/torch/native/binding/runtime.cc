// The engine as a whole: version, threads, random numbers, autocast, devices.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "kernels/half-products.h"
#include "kernels/matrix-tiles.h"
#include "kernels/winograd.h"
#include "module.h"
#include "values.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
#define GOSHAWK_AUTOCAST_BY_DEVICE 1
#endif

namespace goshawk {

namespace {

napi_value version(Call& call) {
  const int parts[] = {TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH};
  return stringToJs(call.env, c10::str(parts[0], ".", parts[1], ".", parts[2]));
}

napi_value configuration(Call& call) {
  return stringToJs(call.env, at::show_config() + "\n" + at::get_parallel_info());
}

// isWinogradFaster(): than the engine's convolution, with the instructions that this is compiled for
napi_value isWinogradFaster(Call& call) { return boolToJs(call.env, winograd::kIsFaster); }

// convolvesHalves(): whether the processor has matrix tiles for them, and this is compiled for it
napi_value convolvesHalves(Call& call) { return boolToJs(call.env, tiles::allowed()); }

// multiplies(dtype): whether the processor has products of the type, and this is compiled for them
napi_value multipliesType(Call& call) {
  return boolToJs(call.env, multiplies(scalarTypeFromName(stringFromJs(call.env, call[0]))));
}

napi_value setThreads(Call& call) {
  const int64_t threads = intFromJs(call.env, call[0]);
  if (threads < 1 || threads > 4096)
    throw CallError("the number of threads must be from 1 to 4096, got " + std::to_string(threads));
  at::set_num_threads(static_cast<int>(threads));
  return nullptr;
}

napi_value getThreads(Call& call) { return numberToJs(call.env, at::get_num_threads()); }

napi_value seed(Call& call) {
  at::manual_seed(static_cast<uint64_t>(intFromJs(call.env, call[0])));
  return nullptr;
}

// randomState(device) -> uint8 tensor on the CPU; setRandomState(tensor, device). A card's generator is its seed and how far it
// has come, which the host knows: neither waits for the card.
napi_value randomState(Call& call) {
  auto generator = at::globalContext().defaultGenerator(c10::Device(stringFromJs(call.env, call[0])));
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return tensorToJs(call.env, call.environment, generator.get_state());
}

napi_value setRandomState(Call& call) {
  auto generator = at::globalContext().defaultGenerator(c10::Device(stringFromJs(call.env, call[1])));
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(tensorFromJs(call.env, call.environment, call[0]));
  return nullptr;
}

// setCudaMode(deterministic, tf32InConvolutions, tf32InProducts, autotune)
napi_value setCudaMode(Call& call) {
  const bool deterministic = boolFromJs(call.env, call[0]);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(deterministic, false);
  context.setDeterministicCuDNN(deterministic);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
  // Memory that nobody reads need not be filled.
  context.setDeterministicFillUninitializedMemory(false);
#endif
  context.setAllowTF32CuDNN(boolFromJs(call.env, call[1]));
  context.setAllowTF32CuBLAS(boolFromJs(call.env, call[2]));
  context.setBenchmarkCuDNN(boolFromJs(call.env, call[3]));
  return nullptr;
}

// cudaMode() -> [deterministic, tf32InConvolutions, tf32InProducts, autotune]
napi_value cudaMode(Call& call) {
  const at::Context& context = at::globalContext();
  const bool flags[] = {context.deterministicAlgorithms() && context.deterministicCuDNN(), context.allowTF32CuDNN(),
                        context.allowTF32CuBLAS(), context.benchmarkCuDNN()};
  napi_value array;
  check(call.env, napi_create_array_with_length(call.env, 4, &array));
  for (uint32_t i = 0; i < 4; ++i) check(call.env, napi_set_element(call.env, array, i, boolToJs(call.env, flags[i])));
  return array;
}

// setAutocast(deviceType, dtype | undefined): on with a dtype, off without; the cache of cast weights is cleared when
// it goes off
napi_value setAutocast(Call& call) {
  const bool cuda = stringFromJs(call.env, call[0]) == "cuda";
  const bool enabled = !isMissing(call.env, call[1]);
  const auto type = enabled ? scalarTypeFromName(stringFromJs(call.env, call[1])) : at::kBFloat16;
#ifdef GOSHAWK_AUTOCAST_BY_DEVICE
  const auto device = cuda ? at::kCUDA : at::kCPU;
  if (enabled) at::autocast::set_autocast_dtype(device, type);
  at::autocast::set_autocast_enabled(device, enabled);
#else
  if (cuda) {
    if (enabled) at::autocast::set_autocast_gpu_dtype(type);
    at::autocast::set_enabled(enabled);
  } else {
    if (enabled && type != at::kBFloat16)
      throw CallError("this libtorch casts to bfloat16 alone on the CPU: use bf16, or a newer libtorch");
    if (enabled) at::autocast::set_autocast_cpu_dtype(type);
    at::autocast::set_cpu_enabled(enabled);
  }
#endif
  if (!enabled) at::autocast::clear_cache();
  return nullptr;
}

napi_value clearAutocastCache(Call&) {
  at::autocast::clear_cache();
  return nullptr;
}

// loadLibrary(path): registers what a library brings with it (libtorch_cuda.so)
napi_value loadLibrary(Call& call) {
  const std::string path = stringFromJs(call.env, call[0]);
  if (!dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) throw CallError(dlerror());
  return nullptr;
}

napi_value hasCuda(Call& call) { return boolToJs(call.env, at::hasCUDA()); }

constexpr Export kRuntimeExports[] = {
    {"version", version},
    {"configuration", configuration},
    {"isWinogradFaster", isWinogradFaster},
    {"convolvesHalves", convolvesHalves},
    {"multiplies", multipliesType},
    {"setThreads", setThreads},
    {"getThreads", getThreads},
    {"seed", seed, "manualSeed"},
    {"randomState", randomState},
    {"setRandomState", setRandomState},
    {"setCudaMode", setCudaMode},
    {"cudaMode", cudaMode},
    {"setAutocast", setAutocast, "autocast"},
    {"clearAutocastCache", clearAutocastCache},
    {"loadLibrary", loadLibrary},
    {"hasCuda", hasCuda},
};

}  // namespace

void registerRuntime(napi_env env, napi_value exports) { exportAll(env, exports, kRuntimeExports); }

}  // namespace goshawk
