// Numbers too small for a full mantissa count as zero while the engine computes. Processors take a hundred times as long for them, and
// the gradients of a detector that has learned its pictures are full of them: a step took up to six times as long, for
// digits around 1e-38 that no weight ever sees.
#pragma once

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace goshawk {

// JavaScript counts with them, so that they are back behind each call. Threads that the engine starts meanwhile begin as the one that
// starts them, and stay so.
class SubnormalsAreZero {
 public:
  SubnormalsAreZero() : before_(read()) { write(before_ | kFlush); }
  ~SubnormalsAreZero() { write(before_); }
  SubnormalsAreZero(const SubnormalsAreZero&) = delete;
  SubnormalsAreZero& operator=(const SubnormalsAreZero&) = delete;

 private:
#if defined(__SSE__) || defined(_M_X64)
  // Flush to zero, denormals are zero.
  static constexpr uint64_t kFlush = 0x8040;
  static uint64_t read() { return _mm_getcsr(); }
  static void write(uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#elif defined(__aarch64__)
  // FPCR.FZ
  static constexpr uint64_t kFlush = uint64_t{1} << 24;
  static uint64_t read() {
    uint64_t state;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(state));
    return state;
  }
  static void write(uint64_t state) { __asm__ __volatile__("msr fpcr, %0" : : "r"(state)); }
#else
  static constexpr uint64_t kFlush = 0;
  static uint64_t read() { return 0; }
  static void write(uint64_t) {}
#endif

  const uint64_t before_;
};

}  // namespace goshawk
