// The engine as a whole: version, threads, random numbers, autocast, devices, memory of the process.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/version.h>

#include "module.h"
#include "values.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
#define GOSHAWK_AUTOCAST_BY_DEVICE 1
#endif

namespace goshawk {

namespace {

napi_value version(napi_env env, napi_callback_info) {
  return guarded(env, "version", [&] { return stringToJs(env, std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR) + "." + std::to_string(TORCH_VERSION_PATCH)); });
}

napi_value configuration(napi_env env, napi_callback_info) {
  return guarded(env, "configuration", [&] { return stringToJs(env, at::show_config() + "\n" + at::get_parallel_info()); });
}

napi_value setThreads(napi_env env, napi_callback_info info) {
  return guarded(env, "setThreads", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    const int64_t threads = intFromJs(env, args[0]);
    if (threads < 1 || threads > 4096) throw CallError("the number of threads must be from 1 to 4096, got " + std::to_string(threads));
    at::set_num_threads(static_cast<int>(threads));
    return static_cast<napi_value>(nullptr);
  });
}

napi_value getThreads(napi_env env, napi_callback_info) {
  napi_value result;
  napi_create_int32(env, at::get_num_threads(), &result);
  return result;
}

napi_value seed(napi_env env, napi_callback_info info) {
  return guarded(env, "manualSeed", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    at::manual_seed(static_cast<uint64_t>(intFromJs(env, args[0])));
    return static_cast<napi_value>(nullptr);
  });
}

// randomState() -> uint8 tensor; setRandomState(tensor)
napi_value randomState(napi_env env, napi_callback_info) {
  return guarded(env, "randomState", [&] { return tensorToJs(env, environmentOf(env), at::globalContext().defaultGenerator(at::kCPU).get_state()); });
}

napi_value setRandomState(napi_env env, napi_callback_info info) {
  return guarded(env, "setRandomState", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    auto generator = at::globalContext().defaultGenerator(at::kCPU);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(tensorFromJs(env, environmentOf(env), args[0]));
    return static_cast<napi_value>(nullptr);
  });
}

// setAutocast(deviceType, dtype | undefined): on with a dtype, off without; the cache of cast weights is cleared when it goes off
napi_value setAutocast(napi_env env, napi_callback_info info) {
  return guarded(env, "autocast", [&] {
    napi_value args[2];
    size_t count = 2;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    const bool cuda = stringFromJs(env, args[0]) == "cuda";
    const bool enabled = count > 1 && !isMissing(env, args[1]);
    const auto type = enabled ? scalarTypeFromName(stringFromJs(env, args[1])) : at::kBFloat16;
#ifdef GOSHAWK_AUTOCAST_BY_DEVICE
    const auto device = cuda ? at::kCUDA : at::kCPU;
    if (enabled) at::autocast::set_autocast_dtype(device, type);
    at::autocast::set_autocast_enabled(device, enabled);
#else
    if (cuda) {
      if (enabled) at::autocast::set_autocast_gpu_dtype(type);
      at::autocast::set_enabled(enabled);
    } else {
      if (enabled && type != at::kBFloat16) throw CallError("this libtorch casts to bfloat16 alone on the CPU: use bf16, or a newer libtorch");
      if (enabled) at::autocast::set_autocast_cpu_dtype(type);
      at::autocast::set_cpu_enabled(enabled);
    }
#endif
    if (!enabled) at::autocast::clear_cache();
    return static_cast<napi_value>(nullptr);
  });
}

napi_value clearAutocastCache(napi_env env, napi_callback_info) {
  return guarded(env, "clearAutocastCache", [&] {
    at::autocast::clear_cache();
    return static_cast<napi_value>(nullptr);
  });
}

// loadLibrary(path): registers what a library brings with it (libtorch_cuda.so)
napi_value loadLibrary(napi_env env, napi_callback_info info) {
  return guarded(env, "loadLibrary", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    const std::string path = stringFromJs(env, args[0]);
    if (!dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) throw CallError(dlerror());
    return static_cast<napi_value>(nullptr);
  });
}

napi_value hasCuda(napi_env env, napi_callback_info) {
  return guarded(env, "hasCuda", [&] {
    napi_value result;
    check(env, napi_get_boolean(env, at::hasCUDA(), &result));
    return result;
  });
}

// trimMemory(): gives freed heap pages back to the system
napi_value trimMemory(napi_env, napi_callback_info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return nullptr;
}

// keepFreedMemory(bytes): large blocks come from the heap and stay there after being freed, up to so many bytes at its top.
// A training step frees and takes the same gigabyte again and again: handing it to the kernel each time costs page faults.
napi_value keepFreedMemory(napi_env env, napi_callback_info info) {
  return guarded(env, "keepFreedMemory", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, static_cast<int>(std::min<double>(numberFromJs(env, args[0]), 2147483647.0)));
    mallopt(M_TOP_PAD, 64 << 20);
#endif
    return static_cast<napi_value>(nullptr);
  });
}

}  // namespace

void registerRuntime(napi_env env, napi_value exports) {
  exportFunction(env, exports, "version", version);
  exportFunction(env, exports, "configuration", configuration);
  exportFunction(env, exports, "setThreads", setThreads);
  exportFunction(env, exports, "getThreads", getThreads);
  exportFunction(env, exports, "seed", seed);
  exportFunction(env, exports, "randomState", randomState);
  exportFunction(env, exports, "setRandomState", setRandomState);
  exportFunction(env, exports, "setAutocast", setAutocast);
  exportFunction(env, exports, "clearAutocastCache", clearAutocastCache);
  exportFunction(env, exports, "loadLibrary", loadLibrary);
  exportFunction(env, exports, "hasCuda", hasCuda);
  exportFunction(env, exports, "trimMemory", trimMemory);
  exportFunction(env, exports, "keepFreedMemory", keepFreedMemory);
}

}  // namespace goshawk
