// Memory of tensors on the processor, for the whole process.
#pragma once
#include <chrono>
#include <cstddef>

namespace goshawk {

// Before the first tensor is made. Does nothing the second time, and where GOSHAWK_ALLOCATOR=malloc leaves memory to malloc.
void installCpuAllocator();

struct CpuMemory {
  bool own;  // whether this allocator is in use; without it all else is 0
  // Bytes of blocks that tensors hold, now and at most.
  size_t used;
  size_t mostUsed;
  // Bytes of pages that were taken from the system, free or not, now and at most.
  size_t resident;
  size_t mostResident;
  // Free bytes that stay at most.
  size_t kept;
};
CpuMemory cpuMemory();

// Gives back to the system what is free, but for so many bytes.
void releaseFreeMemory(size_t keep);

// Keeps so many free bytes at most, unless keepFreeMemory() has said another number or will: what a machine can spare.
void limitFreeMemory(size_t bytes);

// From now on so many free bytes are kept at most, and none once nothing was taken or freed for so long.
void keepFreeMemory(size_t bytes, std::chrono::milliseconds idle);

}  // namespace goshawk
