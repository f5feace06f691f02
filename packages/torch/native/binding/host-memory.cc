// Memory of the process: what tensors take, what is kept for the next, and malloc's, which the engine's libraries use beside it.
#include <algorithm>
#include <iterator>

// Which library it is, the first of the headers says.
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "memory/cpu-allocator.h"
#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

// trimMemory(): gives what is free back to the system
napi_value trimMemory(Call&) {
  releaseFreeMemory(0);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return nullptr;
}

// keepFreedMemory(bytes, milliseconds): so many free bytes stay at most, and none once nothing was taken or freed for so long
napi_value keepFreedMemory(Call& call) {
  const double bytes = numberFromJs(call.env, call[0]);
  const double milliseconds = numberFromJs(call.env, call[1]);
  if (!(bytes >= 0) || !(milliseconds >= 0)) throw CallError("bytes and milliseconds must be 0 or more");
  keepFreeMemory(static_cast<size_t>(std::min(bytes, 1e15)),
                 std::chrono::milliseconds(static_cast<int64_t>(std::min(milliseconds, 1e12))));
  return nullptr;
}

// limitFreedMemory(bytes): so many free bytes stay at most, where keepFreedMemory() says nothing
napi_value limitFreedMemory(Call& call) {
  limitFreeMemory(static_cast<size_t>(std::clamp(numberFromJs(call.env, call[0]), 0.0, 1e15)));
  return nullptr;
}

// keepInMalloc(largestBlock, bytes): malloc takes blocks of up to so many bytes from its heap, and keeps so many free ones at
// its end
napi_value keepInMalloc(Call& call) {
#ifdef __GLIBC__
  const auto setting = [&](size_t index) {
    return static_cast<int>(std::clamp<double>(numberFromJs(call.env, call[index]), 0, 2147483647.0));
  };
  mallopt(M_MMAP_THRESHOLD, setting(0));
  mallopt(M_TRIM_THRESHOLD, setting(1));
  mallopt(M_TOP_PAD, 64 << 20);
#endif
  return nullptr;
}

// hostMemory() -> [bytes of tensors' blocks, bytes taken from the system for them, the most of both, free bytes that stay at most];
// undefined where malloc has them
napi_value hostMemory(Call& call) {
  const CpuMemory memory = cpuMemory();
  if (!memory.own) return nullptr;
  const size_t numbers[] = {memory.used, memory.resident, memory.mostUsed, memory.mostResident, memory.kept};
  napi_value array;
  check(call.env, napi_create_array_with_length(call.env, std::size(numbers), &array));
  for (uint32_t i = 0; i < std::size(numbers); ++i)
    check(call.env, napi_set_element(call.env, array, i, numberToJs(call.env, static_cast<double>(numbers[i]))));
  return array;
}

// dataAddress(id): where a tensor's first value lies
napi_value dataAddress(Call& call) {
  const at::Tensor tensor = tensorFromJs(call.env, call.environment, call[0]);
  return numberToJs(call.env, static_cast<double>(reinterpret_cast<uintptr_t>(tensor.data_ptr())));
}

constexpr Export kHostMemoryExports[] = {
    {"trimMemory", trimMemory},
    {"keepFreedMemory", keepFreedMemory},
    {"limitFreedMemory", limitFreedMemory},
    {"keepInMalloc", keepInMalloc},
    {"hostMemory", hostMemory},
    {"dataAddress", dataAddress},
};

}  // namespace

void registerHostMemory(napi_env env, napi_value exports) { exportAll(env, exports, kHostMemoryExports); }

}  // namespace goshawk
