// Launching own kernels on a card, on the engine's current stream.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <type_traits>

namespace goshawk {

/** One kernel of device/code/`file`.cu, compiled for values of `type`. */
struct DeviceKernel {
  const char* file;
  const char* name;
  at::ScalarType type;
};

struct LaunchShape {
  unsigned blocks;
  unsigned threads;
  /** Second dimension of the grid. */
  unsigned rows = 1;
};

constexpr int64_t kThreads = 256;

/** A thread for each of `items`, in blocks of `threads`; kernels stride over what exceeds the largest grid. */
inline LaunchShape one_thread_each(int64_t items, int64_t threads = kThreads) {
  const int64_t blocks = (items + threads - 1) / threads;
  return {static_cast<unsigned>(blocks < (1 << 30) ? blocks : (1 << 30)), static_cast<unsigned>(threads)};
}

namespace device {

/** `arguments` point at values of exactly the kernel's parameter types. @throws c10::Error where the card refuses */
void launch(const DeviceKernel& kernel, const LaunchShape& shape, c10::Device device, void** arguments);

/** The stream that the engine's operators of this thread go to, with the card's context made current. */
void* enter_current_stream(c10::DeviceIndex index);

/** Where kernels run instead: a library of the same code compiled for the processor, by code/emulated-card.h. For tests. */
void use_emulated_card(const char* library);

} // namespace device

/**
 * Runs a kernel on the card of `on`. The arguments' types must be exactly those of the kernel's parameters: pointers, int,
 * int64_t, float and double.
 */
template <typename... Arguments>
void launch_kernel(const DeviceKernel& kernel, const LaunchShape& shape, const at::Tensor& on, Arguments... arguments) {
  static_assert(
      ((std::is_pointer_v<Arguments> || std::is_same_v<Arguments, int> || std::is_same_v<Arguments, int64_t> ||
        std::is_same_v<Arguments, float> || std::is_same_v<Arguments, double> || std::is_class_v<Arguments>) && ...),
      "kernels take pointers, int, int64_t, float, double and plain structs");
  if (shape.blocks == 0 || shape.rows == 0) {
    return;
  }
  void* pointers[] = {static_cast<void*>(&arguments)...};
  device::launch(kernel, shape, on.device(), pointers);
}

} // namespace goshawk
