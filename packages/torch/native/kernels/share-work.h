// Work in pieces that threads take one after another. at::parallel_for gives each thread its part beforehand, and all wait for the
// one that another program, or another virtual machine, kept from its processor.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace goshawk {

/** Threads that share_work() would use. */
inline int64_t sharing_threads() {
  return at::in_parallel_region() ? 1 : at::get_num_threads();
}

/**
 * Calls `take(next)` on each thread; `next()` gives numbers 0, 1, ... to whoever asks, `count` and more where nothing is left. What a
 * piece gives must not depend on who takes it.
 */
template <typename Take>
void share_work(int64_t count, const Take& take) {
  std::atomic<int64_t> taken{0};
  const auto next = [&taken] { return taken.fetch_add(1, std::memory_order_relaxed); };
  const int64_t threads = std::min(count, sharing_threads());
  if (threads <= 1) {
    take(next);
    return;
  }
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) { take(next); });
}

/** Calls `body(index)` for 0, ..., count - 1. */
template <typename Body>
void share_each(int64_t count, const Body& body) {
  share_work(count, [&](const auto& next) {
    for (int64_t index = next(); index < count; index = next()) {
      body(index);
    }
  });
}

} // namespace goshawk
