#include "launch.h"

#include "device-code.h"
#include "driver.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include <map>
#include <mutex>
#include <string>
#include <tuple>

namespace goshawk {
namespace device {
namespace {

/** The engine's own notion of the stream in use; its header needs CUDA's. */
struct EngineStreams {
  struct Stream {
    // c10::Stream's three members lie in 16 bytes, which the processor's calling convention returns in registers.
    int64_t parts[2];
  };
  Stream (*current)(signed char device);
  void* (*handle)(const Stream*);
};

void check(int error, const char* what) {
  TORCH_CHECK(error == 0, "own kernels on the card: ", what, ": ", driver_error(error));
}

const EngineStreams& engine_streams() {
  static const EngineStreams streams = [] {
    EngineStreams found{};
    found.current = reinterpret_cast<decltype(found.current)>(
        dlsym(RTLD_DEFAULT, "_ZN3c104cuda20getCurrentCUDAStreamEa"));
    found.handle =
        reinterpret_cast<decltype(found.handle)>(dlsym(RTLD_DEFAULT, "_ZNK3c104cuda10CUDAStream6streamEv"));
    return found;
  }();
  TORCH_CHECK(
      streams.current != nullptr && streams.handle != nullptr,
      "own kernels on the card: this libtorch does not say which stream is in use");
  return streams;
}

CudaDriver::Stream current_stream(c10::DeviceIndex index) {
  const EngineStreams& streams = engine_streams();
  const EngineStreams::Stream stream = streams.current(static_cast<signed char>(index));
  return streams.handle(&stream);
}

/** What a card needs to run own kernels. */
class Card {
 public:
  Card(const CudaDriver& driver, int index) : driver_(driver) {
    int number = 0;
    check(driver.device_get(&number, index), "cuDeviceGet");
    int major = 0;
    int minor = 0;
    check(driver.device_attribute(&major, kComputeCapabilityMajor, number), "cuDeviceGetAttribute");
    check(driver.device_attribute(&minor, kComputeCapabilityMinor, number), "cuDeviceGetAttribute");
    architecture_ = major * 10 + minor;
    check(driver.retain_primary_context(&context_, number), "cuDevicePrimaryCtxRetain");
  }

  /** The context that the engine uses too, made current in this thread. */
  void enter() const {
    CudaDriver::Context now = nullptr;
    check(driver_.current_context(&now), "cuCtxGetCurrent");
    if (now != context_) {
      check(driver_.set_current_context(context_), "cuCtxSetCurrent");
    }
  }

  CudaDriver::Function find(const DeviceKernel& kernel) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::tuple<std::string, std::string, int> key{kernel.file, kernel.name, static_cast<int>(kernel.type)};
    const auto known = functions_.find(key);
    if (known != functions_.end()) {
      return known->second;
    }
    CudaDriver::Function function = nullptr;
    check(driver_.find_function(&function, module(kernel), kernel.name), kernel.name);
    functions_.emplace(key, function);
    return function;
  }

 private:
  CudaDriver::Module module(const DeviceKernel& kernel) {
    const std::pair<std::string, int> key{kernel.file, static_cast<int>(kernel.type)};
    const auto known = modules_.find(key);
    if (known != modules_.end()) {
      return known->second;
    }
    const std::string image = compile_device_code(kernel.file, kernel.type, architecture_);
    CudaDriver::Module module = nullptr;
    check(driver_.load_module(&module, image.c_str()), kernel.file);
    modules_.emplace(key, module);
    return module;
  }

  const CudaDriver& driver_;
  int architecture_ = 0;
  CudaDriver::Context context_ = nullptr;
  std::mutex mutex_;
  std::map<std::pair<std::string, int>, CudaDriver::Module> modules_;
  std::map<std::tuple<std::string, std::string, int>, CudaDriver::Function> functions_;
};

Card& card(int index) {
  static std::mutex mutex;
  static std::map<int, Card> cards;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto known = cards.find(index);
  if (known != cards.end()) {
    return known->second;
  }
  const CudaDriver* driver = cuda_driver();
  TORCH_CHECK(driver != nullptr, "own kernels on the card: the CUDA driver is ", cuda_driver_state().state);
  return cards.try_emplace(index, *driver, index).first->second;
}

using EmulatedLaunch = const char* (*)(
    const char* file, const char* name, int scalar, unsigned blocks, unsigned rows, unsigned threads, void** arguments);
EmulatedLaunch emulated_launch = nullptr;

} // namespace

void launch(const DeviceKernel& kernel, const LaunchShape& shape, c10::Device device, void** arguments) {
  if (device.is_cpu()) {
    TORCH_CHECK(emulated_launch != nullptr, kernel.name, ": device code was given tensors of the CPU");
    const char* error = emulated_launch(
        kernel.file, kernel.name, device_scalar(kernel.type), shape.blocks, shape.rows, shape.threads, arguments);
    TORCH_CHECK(error == nullptr, kernel.file, ".cu, ", kernel.name, ": ", error);
    return;
  }
  const c10::DeviceGuard guard(device);
  Card& own = card(device.index());
  own.enter();
  check(
      cuda_driver()->launch(
          own.find(kernel), shape.blocks, shape.rows, 1, shape.threads, 1, 1, 0, current_stream(device.index()),
          arguments, nullptr),
      kernel.name);
}

void* enter_current_stream(c10::DeviceIndex index) {
  card(index).enter();
  return current_stream(index);
}

void use_emulated_card(const char* library) {
  void* loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(loaded != nullptr, dlerror());
  emulated_launch = reinterpret_cast<EmulatedLaunch>(dlsym(loaded, "goshawk_emulated_launch"));
  TORCH_CHECK(emulated_launch != nullptr, library, ": is no emulated card");
}

} // namespace device
} // namespace goshawk
