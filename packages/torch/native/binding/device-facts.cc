// What NVIDIA's driver says of this machine's cards, without CUDA's headers or toolkit, and what libtorch has for them.
// The driver is looked for at run time: where there is none, nothing is loaded.
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>

#include "module.h"
#include "values.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <c10/core/CachingDeviceAllocator.h>
#define GOSHAWK_DEVICE_ALLOCATOR 1
#endif

namespace goshawk {

namespace {

// Numbers of the driver's interface (cuda.h).
constexpr int kNoDevice = 100;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kMultiprocessors = 16;

struct CudaDriver {
  int (*init)(unsigned flags) = nullptr;
  int (*driverVersion)(int* version) = nullptr;
  int (*deviceCount)(int* count) = nullptr;
  int (*deviceGet)(int* device, int ordinal) = nullptr;
  int (*deviceName)(char* name, int length, int device) = nullptr;
  int (*deviceBytes)(size_t* bytes, int device) = nullptr;
  int (*deviceAttribute)(int* value, int attribute, int device) = nullptr;
  int (*memoryInfo)(size_t* free, size_t* total) = nullptr;
  int (*errorText)(int code, const char** text) = nullptr;

  // "hidden", "absent", "failed" (with `code`), "no device" or "ready".
  const char* state = "absent";
  std::string problem;
  int code = 0;
  int version = 0;
  int count = 0;
};

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// An empty list, or one whose first entry is no device, shows none (CUDA C++ Programming Guide, environment variables).
bool allDevicesHidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && (*visible == '\0' || *visible == '-');
}

CudaDriver startDriver() {
  CudaDriver driver;
  if (allDevicesHidden()) {
    driver.state = "hidden";
    return driver;
  }
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    // Absent, or there and broken: the linker's words tell which.
    driver.problem = dlerror();
    return driver;
  }
  const bool whole =
      find(library, "cuInit", driver.init) && find(library, "cuDriverGetVersion", driver.driverVersion) &&
      find(library, "cuDeviceGetCount", driver.deviceCount) && find(library, "cuDeviceGet", driver.deviceGet) &&
      find(library, "cuDeviceGetName", driver.deviceName) &&
      find(library, "cuDeviceTotalMem_v2", driver.deviceBytes) &&
      find(library, "cuDeviceGetAttribute", driver.deviceAttribute) &&
      find(library, "cuMemGetInfo_v2", driver.memoryInfo) && find(library, "cuGetErrorString", driver.errorText);
  if (!whole) {
    driver.state = "failed";
    driver.problem = "libcuda.so.1 lacks a function that every driver has";
    return driver;
  }
  driver.driverVersion(&driver.version);
  driver.code = driver.init(0);
  if (driver.code == 0) driver.code = driver.deviceCount(&driver.count);
  if (driver.code == kNoDevice || (driver.code == 0 && driver.count == 0)) {
    driver.state = "no device";
  } else if (driver.code != 0) {
    const char* text = nullptr;
    driver.errorText(driver.code, &text);
    driver.state = "failed";
    driver.problem = "error " + std::to_string(driver.code) + (text ? std::string(": ") + text : "");
  } else {
    driver.state = "ready";
  }
  return driver;
}

// Asked once a process, whichever thread comes first.
const CudaDriver& cudaDriver() {
  static const CudaDriver driver = startDriver();
  return driver;
}

napi_value makeArray(napi_env env, std::initializer_list<napi_value> values) {
  napi_value array;
  check(env, napi_create_array_with_length(env, values.size(), &array));
  uint32_t index = 0;
  for (napi_value value : values) check(env, napi_set_element(env, array, index++, value));
  return array;
}

// cudaDriver() -> [state, problem, CUDA version that the driver is for (13000 is 13.0), devices that it shows]
napi_value driverState(Call& call) {
  const CudaDriver& driver = cudaDriver();
  return makeArray(call.env, {stringToJs(call.env, driver.state), stringToJs(call.env, driver.problem),
                              numberToJs(call.env, driver.version), numberToJs(call.env, driver.count)});
}

// cudaDeviceFacts() -> for each device that the driver shows [name, bytes, capability major, minor, multiprocessors]
napi_value deviceFacts(Call& call) {
  const CudaDriver& driver = cudaDriver();
  const int count = std::strcmp(driver.state, "ready") == 0 ? driver.count : 0;
  napi_value all;
  check(call.env, napi_create_array_with_length(call.env, count, &all));
  for (int ordinal = 0; ordinal < count; ordinal++) {
    int device = 0, major = 0, minor = 0, multiprocessors = 0;
    char name[256] = "";
    size_t bytes = 0;
    const bool known = driver.deviceGet(&device, ordinal) == 0 && driver.deviceName(name, 255, device) == 0 &&
                       driver.deviceBytes(&bytes, device) == 0 &&
                       driver.deviceAttribute(&major, kComputeCapabilityMajor, device) == 0 &&
                       driver.deviceAttribute(&minor, kComputeCapabilityMinor, device) == 0 &&
                       driver.deviceAttribute(&multiprocessors, kMultiprocessors, device) == 0;
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
  const CudaDriver& driver = cudaDriver();
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
  if (std::strcmp(driver.state, "ready") != 0 || driver.memoryInfo(&free, &whole) != 0)
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
