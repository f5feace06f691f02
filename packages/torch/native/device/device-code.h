// Compiling device code: code/*.cu for one scalar type and one architecture, by NVRTC at first use, kept on the disk. No CUDA
// toolkit is needed: every libtorch with CUDA brings NVRTC.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

namespace goshawk {

struct DeviceCodeSettings {
  /** Folder that holds device/code/ and arithmetic/. */
  std::string sources;
  /** File of libnvrtc. */
  std::string compiler;
  /** Folder in which compiled code is kept; empty: nothing is. */
  std::string cache;
};

/** Said once, before the first kernel runs. */
void set_device_code_settings(DeviceCodeSettings settings);

/**
 * The code of `name`.cu for values of `type`, as the driver loads it.
 * @param architecture major * 10 + minor of the card's compute capability, such as 90
 * @throws std::runtime_error with the compiler's own lines
 */
std::string compile_device_code(const std::string& name, c10::ScalarType type, int architecture);

/** How device code names a scalar type: the value of the macro GOSHAWK_SCALAR (code/scalar.cuh). @throws c10::Error for others */
int device_scalar(c10::ScalarType type);

} // namespace goshawk
