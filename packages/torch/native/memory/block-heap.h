// Blocks out of one long range of addresses, kept by address and by size: freed neighbours become one again, so that what
// small tensors leave behind serves large ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace goshawk {

// Not for several threads at once. Addresses are offsets from the beginning of the range.
class BlockHeap {
 public:
  // Pages of this size are what memory is taken from the system and given back in: the large pages of x86 and of most arm64.
  static constexpr size_t kPage = size_t{2} << 20;
  static constexpr size_t kNone = SIZE_MAX;

  explicit BlockHeap(size_t capacity);

  // Offset of a block of at least so many bytes, a multiple of 64; kNone where no room is left.
  size_t take(size_t bytes);
  // What take() returned.
  void give(size_t offset);

  struct Pages {
    size_t offset;
    size_t bytes;
  };
  // Pages that hold no block and were used since they were last given back, from the end of the range on, so many bytes of them
  // or all: from now on they count as given back.
  std::vector<Pages> releaseFree(size_t bytes);

  size_t used() const { return used_; }
  size_t mostUsed() const { return mostUsed_; }
  // Bytes of the pages that a block has lain in since they were last given back.
  size_t touched() const { return touchedPages_ * kPage; }
  size_t mostTouched() const { return mostTouchedPages_ * kPage; }

 private:
  void insertFree(size_t offset, size_t bytes);
  void eraseFree(std::map<size_t, size_t>::iterator at);
  void touch(size_t offset, size_t bytes);

  size_t capacity_;
  // Behind it no block has lain yet, or none does.
  size_t end_ = 0;
  // Free ranges before end_: no two of them touch, and none ends there.
  std::map<size_t, size_t> freeByOffset_;
  std::set<std::pair<size_t, size_t>> freeBySize_;
  std::unordered_map<size_t, size_t> blocks_;
  std::vector<bool> pageTouched_;
  size_t touchedPages_ = 0;
  size_t mostTouchedPages_ = 0;
  size_t used_ = 0;
  size_t mostUsed_ = 0;
};

}  // namespace goshawk
