// A network takes and frees the same gigabyte of feature maps at every picture. malloc gives it back to the system, and
// takes it again in pages of 4 KiB, a quarter of a million faults. Here blocks come from one reserved range of addresses, in large pages where the
// system has them, stay with the process while it works, and go back when it has done nothing for a while.
#include "cpu-allocator.h"

#include <c10/core/CPUAllocator.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "block-heap.h"

namespace goshawk {

namespace {

// Smaller blocks are malloc's: there are many, most of them live long, and they would lie between the large ones.
constexpr size_t kLeastBytes = 32 << 10;
// Addresses become writable in pieces of this size, so that a system which counts promised memory counts little too much.
constexpr size_t kStep = size_t{64} << 20;
constexpr std::chrono::milliseconds kIdle{60'000};

#ifdef __APPLE__
constexpr int kGiveBack = MADV_FREE;
#else
constexpr int kGiveBack = MADV_DONTNEED;
#endif

class CpuBlocks {
 public:
  CpuBlocks(char* begin, size_t capacity, size_t largest)
      : begin_(begin), capacity_(capacity), largest_(largest), heap_(capacity) {}

  bool holds(const void* block) const {
    return static_cast<size_t>(static_cast<const char*>(block) - begin_) < capacity_;
  }

  // nullptr where malloc has to try.
  void* take(size_t bytes) {
    if (bytes > largest_) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t offset = heap_.take(bytes);
    if (offset == BlockHeap::kNone) return nullptr;
    if (!makeWritable(offset + bytes)) {
      heap_.give(offset);
      return nullptr;
    }
    ++turns_;
    return begin_ + offset;
  }

  void give(void* block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    heap_.give(static_cast<size_t>(static_cast<char*>(block) - begin_));
    ++turns_;
    releaseBeyond(kept_);
    if (waiting_) {
      waiting_ = false;
      changed_.notify_one();
    }
  }

  void keep(size_t bytes, std::chrono::milliseconds idle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    kept_ = bytes;
    idle_ = idle;
    isChosen_ = true;
    releaseBeyond(kept_);
    waiting_ = false;
    changed_.notify_one();
  }

  void limit(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (isChosen_) return;
    kept_ = std::min(kept_, bytes);
    releaseBeyond(kept_);
  }

  void release(size_t keep) {
    const std::lock_guard<std::mutex> lock(mutex_);
    releaseBeyond(keep);
  }

  CpuMemory memory() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {true, heap_.used(), heap_.mostUsed(), heap_.touched(), heap_.mostTouched(), kept_};
  }

  // The body of a thread of its own, which sleeps while nothing is freed.
  [[noreturn]] void releaseWhenIdle() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      waiting_ = true;
      changed_.wait(lock, [this] { return !waiting_; });
      for (uint64_t seen = turns_ - 1; seen != turns_;) {
        seen = turns_;
        changed_.wait_for(lock, idle_);
      }
      releaseBeyond(0);
    }
  }

 private:
  bool makeWritable(size_t end) {
    if (end <= writable_) return true;
    const size_t wanted = std::min(capacity_, (end + kStep - 1) / kStep * kStep);
    char* from = begin_ + writable_;
    if (mprotect(from, wanted - writable_, PROT_READ | PROT_WRITE) != 0) return false;
#ifdef MADV_HUGEPAGE
    // Where the system refuses, pages are small and nothing else changes.
    madvise(from, wanted - writable_, MADV_HUGEPAGE);
#endif
    writable_ = wanted;
    return true;
  }

  void releaseBeyond(size_t keep) {
    const size_t free = heap_.touched() - std::min(heap_.used(), heap_.touched());
    if (free <= keep) return;
    for (const auto& pages : heap_.releaseFree(free - keep)) madvise(begin_ + pages.offset, pages.bytes, kGiveBack);
  }

  char* const begin_;
  const size_t capacity_;
  const size_t largest_;
  std::mutex mutex_;
  std::condition_variable changed_;
  BlockHeap heap_;
  size_t writable_ = 0;
  size_t kept_ = SIZE_MAX;
  // Whether keep() said how much.
  bool isChosen_ = false;
  std::chrono::milliseconds idle_ = kIdle;
  // Blocks taken and given so far: where it stands still, nothing happens.
  uint64_t turns_ = 0;
  bool waiting_ = false;
};

// Lives until the process ends: tensors are freed while it does.
CpuBlocks* blocks = nullptr;
c10::Allocator* engineAllocator = nullptr;

void freeBlock(void* block) {
  if (block == nullptr) return;
  if (!blocks->holds(block)) return engineAllocator->raw_deleter()(block);
  c10::profiledCPUMemoryReporter().Delete(block);
  blocks->give(block);
}

struct CpuAllocator final : c10::Allocator {
  // Which of the two is the engine's changed between versions, as did whether it asks for copy_data.
  c10::DataPtr allocate(size_t bytes) { return take(bytes); }
  c10::DataPtr allocate(size_t bytes) const { return take(bytes); }
  void copy_data(void* to, const void* from, std::size_t count) const { std::memcpy(to, from, count); }
  c10::DeleterFnPtr raw_deleter() const { return freeBlock; }

 private:
  static c10::DataPtr take(size_t bytes) {
    void* block = bytes < kLeastBytes ? nullptr : blocks->take(bytes);
    if (block != nullptr)
      c10::profiledCPUMemoryReporter().New(block, bytes);
    else
      block = engineAllocator->allocate(bytes).release_context();
    return {block, block, freeBlock, c10::Device(c10::DeviceType::CPU)};
  }
};

size_t reservation(size_t physical) {
  // Twice the memory: gaps between blocks take addresses too. Where addresses are limited, most are left to others.
  size_t wanted = 2 * physical;
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    wanted = std::min<size_t>(wanted, limit.rlim_cur / 4);
  return wanted / BlockHeap::kPage * BlockHeap::kPage;
}

}  // namespace

void installCpuAllocator() {
  const char* chosen = std::getenv("GOSHAWK_ALLOCATOR");
  if (blocks != nullptr || (chosen != nullptr && std::strcmp(chosen, "malloc") == 0)) return;
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // A worker of Node that ends takes the addon with it where no other thread has loaded it, and its tensors may live on.
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&installCpuAllocator), &self) == 0 ||
      dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == nullptr)
    return;
  for (size_t capacity = reservation(physical); capacity >= kStep; capacity /= 2) {
    const size_t length = capacity + BlockHeap::kPage;
    void* reserved = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) continue;
    const auto address = reinterpret_cast<uintptr_t>(reserved);
    const auto begin = (address + BlockHeap::kPage - 1) / BlockHeap::kPage * BlockHeap::kPage;
    engineAllocator = c10::GetDefaultCPUAllocator();
    blocks = new CpuBlocks(reinterpret_cast<char*>(begin), capacity, physical);
    std::thread([] { blocks->releaseWhenIdle(); }).detach();
    c10::SetCPUAllocator(new CpuAllocator, 1);
    return;
  }
}

CpuMemory cpuMemory() { return blocks == nullptr ? CpuMemory{} : blocks->memory(); }

void releaseFreeMemory(size_t keep) {
  if (blocks != nullptr) blocks->release(keep);
}

void limitFreeMemory(size_t bytes) {
  if (blocks != nullptr) blocks->limit(bytes);
}

void keepFreeMemory(size_t bytes, std::chrono::milliseconds idle) {
  if (blocks != nullptr) blocks->keep(bytes, idle);
}

}  // namespace goshawk
