// Runs the blocks of a grid one after another, and the threads of a block as coroutines, which are kept from block to block:
// a switch by _longjmp costs nanoseconds, one by swapcontext, or a fresh coroutine, two calls of the system.
#include "device/emulation/emulated-card.h"

#include "device/emulation/kernel-table.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace goshawk {
namespace emulated {

Here here;

namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr unsigned kWarp = 32;

enum class State { Ready, AtBlockBarrier, InWarp, Ended };

struct Thread {
  /** Where it goes on, from its first pause on. */
  jmp_buf place;
  /** Null before its first block. */
  std::unique_ptr<char[]> stack;
  State state = State::Ended;
};

struct Warp {
  uint64_t slots[2][kWarp];
  /** Which of the two is written now; the other may still be read. */
  unsigned turn[kWarp];
  /** Lanes of the exchange that was last completed. */
  unsigned present;
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  jmp_buf scheduler;
  unsigned running = 0;
  const Entry* entry = nullptr;
  void** arguments = nullptr;
};

Block block;

void pause(State state) {
  Thread& thread = block.threads[block.running];
  thread.state = state;
  if (_setjmp(thread.place) == 0) {
    _longjmp(block.scheduler, 1);
  }
}

/** One block after another, of whatever kernel. */
void run_thread() {
  for (;;) {
    block.entry->call(block.arguments);
    pause(State::Ended);
  }
}

[[noreturn]] void begin(Thread& thread) {
  thread.stack.reset(new char[kStackBytes]);
  ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = thread.stack.get();
  first.uc_stack.ss_size = kStackBytes;
  first.uc_link = nullptr;
  makecontext(&first, run_thread, 0);
  setcontext(&first);
  std::abort();
}

void resume(unsigned number) {
  block.running = number;
  here.thread_index = {number, 0, 0};
  if (_setjmp(block.scheduler) != 0) {
    return;
  }
  Thread& thread = block.threads[number];
  if (thread.stack == nullptr) {
    begin(thread);
  }
  _longjmp(thread.place, 1);
}

/** Lets go on those that wait for nobody any more. */
bool release(unsigned threads) {
  bool released = false;
  bool all_at_barrier = true;
  for (unsigned from = 0; from < threads; from += kWarp) {
    const unsigned to = std::min(from + kWarp, threads);
    bool all_in_warp = true;
    for (unsigned i = from; i < to; ++i) {
      const State state = block.threads[i].state;
      all_in_warp = all_in_warp && (state == State::InWarp || state == State::Ended);
      all_at_barrier = all_at_barrier && (state == State::AtBlockBarrier || state == State::Ended);
    }
    unsigned present = 0;
    for (unsigned i = from; all_in_warp && i < to; ++i) {
      if (block.threads[i].state == State::InWarp) {
        block.threads[i].state = State::Ready;
        present |= 1u << (i - from);
        released = true;
      }
    }
    if (present != 0) {
      block.warps[from / kWarp].present = present;
    }
  }
  for (unsigned i = 0; all_at_barrier && i < threads; ++i) {
    if (block.threads[i].state == State::AtBlockBarrier) {
      block.threads[i].state = State::Ready;
      released = true;
    }
  }
  return released;
}

/** Runs one block; alternating orders of its threads show what lacks a barrier. */
bool run_block(unsigned threads, bool& backwards) {
  for (unsigned i = 0; i < threads; ++i) {
    block.threads[i].state = State::Ready;
  }
  for (;;) {
    backwards = !backwards;
    for (unsigned step = 0; step < threads; ++step) {
      const unsigned i = backwards ? threads - 1 - step : step;
      if (block.threads[i].state == State::Ready) {
        resume(i);
      }
    }
    bool ended = true;
    bool ready = false;
    for (unsigned i = 0; i < threads; ++i) {
      ended = ended && block.threads[i].state == State::Ended;
      ready = ready || block.threads[i].state == State::Ready;
    }
    if (ended) {
      return true;
    }
    if (!ready && !release(threads)) {
      return false;
    }
  }
}

std::map<std::tuple<std::string, std::string, int>, Entry>& table() {
  static std::map<std::tuple<std::string, std::string, int>, Entry> entries;
  return entries;
}

} // namespace

void wait_for_block() {
  pause(State::AtBlockBarrier);
}

const uint64_t* exchange_in_warp(uint64_t value, unsigned& present) {
  const unsigned number = block.running;
  Warp& warp = block.warps[number / kWarp];
  const unsigned lane = number % kWarp;
  const unsigned turn = warp.turn[lane]++ % 2;
  warp.slots[turn][lane] = value;
  pause(State::InWarp);
  present = warp.present;
  return warp.slots[turn];
}

Registration::Registration(const char* file, const char* name, int scalar, Entry entry) {
  table().emplace(std::make_tuple(std::string(file), std::string(name), scalar), entry);
}

} // namespace emulated
} // namespace goshawk

/** Null, or what went wrong. */
extern "C" const char* goshawk_emulated_launch(
    const char* file, const char* name, int scalar, unsigned blocks, unsigned rows, unsigned threads,
    void** arguments) {
  using namespace goshawk::emulated;
  const auto found = table().find(std::make_tuple(std::string(file), std::string(name), scalar));
  if (found == table().end()) {
    return "no such kernel";
  }
  if (threads > 1024) {
    return "more than 1,024 threads in a block";
  }
  block.entry = &found->second;
  block.arguments = arguments;
  if (block.threads.size() < threads) {
    block.threads.resize(threads);
  }
  block.warps.assign((threads + kWarp - 1) / kWarp, Warp{});
  here.grid = {blocks, rows, 1};
  here.block = {threads, 1, 1};
  bool backwards = false;
  for (unsigned y = 0; y < rows; ++y) {
    for (unsigned x = 0; x < blocks; ++x) {
      here.block_index = {x, y, 0};
      if (!run_block(threads, backwards)) {
        // They stand in the middle of a kernel.
        block.threads.clear();
        return "threads wait for each other";
      }
    }
  }
  return nullptr;
}
