#include "driver.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>

namespace goshawk {
namespace {

/** Fills pointers from a library; remembers the first name that it lacks. */
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <typename Function>
  void find(Function*& into, const char* name) {
    into = reinterpret_cast<Function*>(dlsym(library_, name));
    if (into == nullptr && missing_.empty()) {
      missing_ = name;
    }
  }

  const std::string& missing() const {
    return missing_;
  }

 private:
  void* library_;
  std::string missing_;
};

constexpr int kNoDevice = 100;

struct FoundDriver {
  CudaDriver functions{};
  CudaDriverState state;
};

/** An empty list, or one whose first entry is no device, shows none (CUDA C++ Programming Guide, environment variables). */
bool all_devices_hidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && (*visible == '\0' || *visible == '-');
}

FoundDriver find_driver() {
  FoundDriver found;
  CudaDriverState& state = found.state;
  if (all_devices_hidden()) {
    state.state = "hidden";
    return found;
  }
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    // Absent, or there and broken: the linker's words tell which.
    state.problem = dlerror();
    return found;
  }
  CudaDriver& driver = found.functions;
  Symbols symbols(library);
  symbols.find(driver.init, "cuInit");
  symbols.find(driver.driver_version, "cuDriverGetVersion");
  symbols.find(driver.device_count, "cuDeviceGetCount");
  symbols.find(driver.device_get, "cuDeviceGet");
  symbols.find(driver.device_name, "cuDeviceGetName");
  symbols.find(driver.device_memory, "cuDeviceTotalMem_v2");
  symbols.find(driver.device_attribute, "cuDeviceGetAttribute");
  symbols.find(driver.memory_info, "cuMemGetInfo_v2");
  symbols.find(driver.retain_primary_context, "cuDevicePrimaryCtxRetain");
  symbols.find(driver.current_context, "cuCtxGetCurrent");
  symbols.find(driver.set_current_context, "cuCtxSetCurrent");
  symbols.find(driver.load_module, "cuModuleLoadData");
  symbols.find(driver.find_function, "cuModuleGetFunction");
  symbols.find(driver.launch, "cuLaunchKernel");
  symbols.find(driver.stream_create, "cuStreamCreate");
  symbols.find(driver.stream_wait, "cuStreamWaitEvent");
  symbols.find(driver.event_create, "cuEventCreate");
  symbols.find(driver.event_destroy, "cuEventDestroy_v2");
  symbols.find(driver.event_record, "cuEventRecord");
  symbols.find(driver.event_query, "cuEventQuery");
  symbols.find(driver.error_name, "cuGetErrorName");
  symbols.find(driver.error_text, "cuGetErrorString");
  if (!symbols.missing().empty()) {
    state.state = "failed";
    state.problem = "libcuda.so.1 has no " + symbols.missing() + ", which every driver has";
    return found;
  }
  driver.driver_version(&state.version);
  int error = driver.init(0);
  if (error == 0) {
    error = driver.device_count(&state.devices);
  }
  if (error == kNoDevice || (error == 0 && state.devices == 0)) {
    state.state = "no device";
  } else if (error != 0) {
    const char* text = nullptr;
    driver.error_text(error, &text);
    state.state = "failed";
    state.problem = "error " + std::to_string(error) + (text == nullptr ? "" : std::string(": ") + text);
  } else {
    state.state = "ready";
  }
  return found;
}

const FoundDriver& found_driver() {
  static const FoundDriver found = find_driver();
  return found;
}

/** NVRTC looks for its built-in functions by their library's bare name, which is found once that library is loaded. */
void load_builtins(const std::string& compiler) {
  const std::string folder = compiler.substr(0, compiler.rfind('/') + 1);
  glob_t found{};
  if (glob((folder + "libnvrtc-builtins.so*").c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
    }
  }
  globfree(&found);
}

CudaCompiler load_compiler(const std::string& path) {
  load_builtins(path);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw std::runtime_error(dlerror());
  }
  CudaCompiler compiler{};
  Symbols symbols(library);
  symbols.find(compiler.version, "nvrtcVersion");
  symbols.find(compiler.supported_count, "nvrtcGetNumSupportedArchs");
  symbols.find(compiler.supported, "nvrtcGetSupportedArchs");
  symbols.find(compiler.create, "nvrtcCreateProgram");
  symbols.find(compiler.destroy, "nvrtcDestroyProgram");
  symbols.find(compiler.compile, "nvrtcCompileProgram");
  symbols.find(compiler.log_size, "nvrtcGetProgramLogSize");
  symbols.find(compiler.log, "nvrtcGetProgramLog");
  symbols.find(compiler.cubin_size, "nvrtcGetCUBINSize");
  symbols.find(compiler.cubin, "nvrtcGetCUBIN");
  symbols.find(compiler.ptx_size, "nvrtcGetPTXSize");
  symbols.find(compiler.ptx, "nvrtcGetPTX");
  if (!symbols.missing().empty()) {
    throw std::runtime_error(path + ": has no " + symbols.missing() + ": CUDA 11.2 or newer is needed");
  }
  return compiler;
}

} // namespace

const CudaDriverState& cuda_driver_state() {
  return found_driver().state;
}

const CudaDriver* cuda_driver() {
  const FoundDriver& found = found_driver();
  return std::strcmp(found.state.state, "ready") == 0 ? &found.functions : nullptr;
}

const CudaCompiler& cuda_compiler(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, CudaCompiler> loaded;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = loaded.find(path);
  return found != loaded.end() ? found->second : loaded.emplace(path, load_compiler(path)).first->second;
}

std::string driver_error(int error) {
  const CudaDriver* driver = cuda_driver();
  const char* name = nullptr;
  if (driver != nullptr) {
    driver->error_name(error, &name);
  }
  return std::string(name == nullptr ? "CUDA error" : name) + " (" + std::to_string(error) + ")";
}

} // namespace goshawk
