// The few functions of the CUDA driver and of its compiler NVRTC that own kernels need, found at run time: the addon is compiled
// without CUDA's headers, and runs where neither is installed.
#pragma once

#include <cstddef>
#include <string>

namespace goshawk {

/** CUDA's driver API (libcuda.so.1), which comes with the card's driver. Results other than 0 are errors. */
struct CudaDriver {
  using Context = void*;
  using Module = void*;
  using Function = void*;
  using Stream = void*;
  using Event = void*;

  int (*init)(unsigned flags);
  int (*driver_version)(int* version);
  int (*device_count)(int* count);
  int (*device_get)(int* device, int ordinal);
  int (*device_name)(char* name, int length, int device);
  int (*device_memory)(size_t* bytes, int device);
  int (*device_attribute)(int* value, int attribute, int device);
  int (*memory_info)(size_t* free, size_t* total);
  int (*retain_primary_context)(Context* context, int device);
  int (*current_context)(Context* context);
  int (*set_current_context)(Context context);
  int (*load_module)(Module* module, const void* image);
  int (*find_function)(Function* function, Module module, const char* name);
  int (*launch)(
      Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
      unsigned block_z, unsigned shared_bytes, Stream stream, void** arguments, void** extra);
  int (*stream_create)(Stream* stream, unsigned flags);
  int (*stream_wait)(Stream stream, Event event, unsigned flags);
  int (*event_create)(Event* event, unsigned flags);
  int (*event_destroy)(Event event);
  int (*event_record)(Event event, Stream stream);
  int (*event_query)(Event event);
  int (*error_name)(int error, const char** name);
  int (*error_text)(int error, const char** text);
};

/** Numbers of device_attribute() (cuda.h). */
constexpr int kMultiprocessors = 16;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;

/** Of event_query(): what comes before the event is not done. */
constexpr int kNotReady = 600;
/** Flags of streams that do not wait for the default one, and of events that take no time. */
constexpr unsigned kNonBlockingStream = 1;
constexpr unsigned kUntimedEvent = 2;

struct CudaDriverState {
  /** "hidden" (by CUDA_VISIBLE_DEVICES), "absent", "failed", "no device" or "ready". */
  const char* state = "absent";
  /** Of a driver that is absent or failed. */
  std::string problem;
  /** The newest CUDA that the driver is for: 13000 is 13.0. */
  int version = 0;
  /** That the driver shows to this process. */
  int devices = 0;
};

/** NVRTC, which comes with every libtorch that has CUDA. Results other than 0 are errors. */
struct CudaCompiler {
  using Program = void*;

  int (*version)(int* major, int* minor);
  int (*supported_count)(int* count);
  int (*supported)(int* architectures);
  int (*create)(
      Program* program, const char* source, const char* name, int headers, const char* const* header_sources,
      const char* const* header_names);
  int (*destroy)(Program* program);
  int (*compile)(Program program, int options, const char* const* values);
  int (*log_size)(Program program, size_t* bytes);
  int (*log)(Program program, char* text);
  int (*cubin_size)(Program program, size_t* bytes);
  int (*cubin)(Program program, char* image);
  int (*ptx_size)(Program program, size_t* bytes);
  int (*ptx)(Program program, char* image);
};

/** Found once a process, whichever thread asks first; where there is no driver, nothing is loaded. */
const CudaDriverState& cuda_driver_state();

/** The driver, initialised; null unless its state is "ready". */
const CudaDriver* cuda_driver();

/** NVRTC from the library at `path`. @throws std::runtime_error where it cannot be loaded */
const CudaCompiler& cuda_compiler(const std::string& path);

/** "CUDA_ERROR_OUT_OF_MEMORY (2)". */
std::string driver_error(int error);

} // namespace goshawk
