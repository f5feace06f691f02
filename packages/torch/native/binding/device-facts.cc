// What NVIDIA's driver says of this machine's cards, and what libtorch has for them.
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

#include <cmath>
#include <initializer_list>
#include <string>

#include "device/driver.h"
#include "module.h"
#include "values.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <c10/core/CachingDeviceAllocator.h>
#define GOSHAWK_DEVICE_ALLOCATOR 1
#endif

namespace goshawk {

namespace {

napi_value makeArray(napi_env env, std::initializer_list<napi_value> values) {
  napi_value array;
  check(env, napi_create_array_with_length(env, values.size(), &array));
  uint32_t index = 0;
  for (napi_value value : values) check(env, napi_set_element(env, array, index++, value));
  return array;
}

// cudaDriver() -> [state, problem, CUDA version that the driver is for (13000 is 13.0), devices that it shows]
napi_value driverState(Call& call) {
  const CudaDriverState& driver = cuda_driver_state();
  return makeArray(call.env, {stringToJs(call.env, driver.state), stringToJs(call.env, driver.problem),
                              numberToJs(call.env, driver.version), numberToJs(call.env, driver.devices)});
}

// cudaDeviceFacts() -> for each device that the driver shows [name, bytes, capability major, minor, multiprocessors]
napi_value deviceFacts(Call& call) {
  const CudaDriver* driver = cuda_driver();
  const int count = driver != nullptr ? cuda_driver_state().devices : 0;
  napi_value all;
  check(call.env, napi_create_array_with_length(call.env, count, &all));
  for (int ordinal = 0; ordinal < count; ordinal++) {
    int device = 0, major = 0, minor = 0, multiprocessors = 0;
    char name[256] = "";
    size_t bytes = 0;
    const bool known = driver->device_get(&device, ordinal) == 0 && driver->device_name(name, 255, device) == 0 &&
                       driver->device_memory(&bytes, device) == 0 &&
                       driver->device_attribute(&major, kComputeCapabilityMajor, device) == 0 &&
                       driver->device_attribute(&minor, kComputeCapabilityMinor, device) == 0 &&
                       driver->device_attribute(&multiprocessors, kMultiprocessors, device) == 0;
    if (!known) throw CallError("the driver does not describe device " + std::to_string(ordinal));
    check(call.env, napi_set_element(
                        call.env, all, ordinal,
                        makeArray(call.env, {stringToJs(call.env, name), numberToJs(call.env, static_cast<double>(bytes)),
                                             numberToJs(call.env, major), numberToJs(call.env, minor),
                                             numberToJs(call.env, multiprocessors)})));
  }
  return all;
}

// cudaLibraryVersions() -> [CUDA, cuDNN] that the loaded libtorch_cuda was built with (13000 is 13.0); 0 where unknown
napi_value libraryVersions(Call& call) {
  double versions[2] = {0, 0};
  const auto ask = [](double& version, auto question) {
    try {
      version = static_cast<double>(question());
    } catch (const c10::Error&) {
      // Without the library, or without cuDNN in it.
    }
  };
  ask(versions[0], [] { return at::detail::getCUDAHooks().versionCUDART(); });
  ask(versions[1], [] { return at::detail::getCUDAHooks().versionCuDNN(); });
  return makeArray(call.env, {numberToJs(call.env, versions[0]), numberToJs(call.env, versions[1])});
}

// deviceMemory(index) -> [free, total, in use by tensors, taken from the card for them, the most of both], bytes: the
// first two of the whole card, the others of this process, NaN where this libtorch does not tell
napi_value deviceMemory(Call& call) {
  const CudaDriver* driver = cuda_driver();
  const auto index = static_cast<c10::DeviceIndex>(intFromJs(call.env, call[0]));
  double own[4] = {NAN, NAN, NAN, NAN};
#ifdef GOSHAWK_DEVICE_ALLOCATOR
  const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(index);
  const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  own[0] = static_cast<double>(stats.allocated_bytes[total].current);
  own[1] = static_cast<double>(stats.reserved_bytes[total].current);
  own[2] = static_cast<double>(stats.allocated_bytes[total].peak);
  own[3] = static_cast<double>(stats.reserved_bytes[total].peak);
#else
  (void)index;
#endif
  size_t free = 0, whole = 0;
  if (driver == nullptr || driver->memory_info(&free, &whole) != 0)
    throw CallError("this thread has not used a CUDA device");
  return makeArray(call.env, {numberToJs(call.env, static_cast<double>(free)),
                              numberToJs(call.env, static_cast<double>(whole)), numberToJs(call.env, own[0]),
                              numberToJs(call.env, own[1]), numberToJs(call.env, own[2]),
                              numberToJs(call.env, own[3])});
}

// releaseDeviceMemory(index): what tensors freed goes back to the card, and the most is counted anew; false where this
// libtorch cannot
napi_value releaseDeviceMemory(Call& call) {
  const auto index = static_cast<c10::DeviceIndex>(intFromJs(call.env, call[0]));
#ifdef GOSHAWK_DEVICE_ALLOCATOR
  auto* allocator = c10::getDeviceAllocator(c10::kCUDA);
  allocator->emptyCache();
  allocator->resetPeakStats(index);
  return boolToJs(call.env, true);
#else
  (void)index;
  return boolToJs(call.env, false);
#endif
}

constexpr Export kDeviceFactExports[] = {
    {"cudaDriver", driverState},
    {"cudaDeviceFacts", deviceFacts},
    {"cudaLibraryVersions", libraryVersions},
    {"deviceMemory", deviceMemory},
    {"releaseDeviceMemory", releaseDeviceMemory},
};

}  // namespace

void registerDeviceFacts(napi_env env, napi_value exports) { exportAll(env, exports, kDeviceFactExports); }

}  // namespace goshawk
