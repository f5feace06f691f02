#include "block-heap.h"

#include <algorithm>

namespace goshawk {

namespace {

constexpr size_t kLine = 64;
// A remainder smaller than any block that comes here stays with its block.
constexpr size_t kLeastRemainder = 4096;
// Sizes of feature maps are multiples of the page of 4 KiB, and operands that lie at the same place of their pages push one another out
// of the first cache: with some lines more each block begins at another place.
constexpr size_t kStagger = 5 * kLine;

size_t roundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

BlockHeap::BlockHeap(size_t capacity) : capacity_(capacity), pageTouched_(capacity / kPage + 1) {}

size_t BlockHeap::take(size_t bytes) {
  if (bytes > capacity_) return kNone;
  size_t size = roundUp(bytes, kLine) + kStagger;
  size_t offset;
  // Of the smallest that fit the first, so that the end of the range becomes free again.
  const auto fit = freeBySize_.lower_bound({size, 0});
  if (fit != freeBySize_.end()) {
    offset = fit->second;
    const size_t whole = fit->first;
    eraseFree(freeByOffset_.find(offset));
    if (whole - size >= kLeastRemainder)
      insertFree(offset + size, whole - size);
    else
      size = whole;
  } else {
    if (size > capacity_ - end_) return kNone;
    offset = end_;
    end_ += size;
  }
  blocks_.emplace(offset, size);
  touch(offset, size);
  used_ += size;
  mostUsed_ = std::max(mostUsed_, used_);
  return offset;
}

void BlockHeap::give(size_t offset) {
  const auto block = blocks_.find(offset);
  size_t size = block->second;
  blocks_.erase(block);
  used_ -= size;
  const auto next = freeByOffset_.lower_bound(offset);
  if (next != freeByOffset_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      eraseFree(before);
    }
  }
  if (next != freeByOffset_.end() && offset + size == next->first) {
    size += next->second;
    eraseFree(next);
  }
  if (offset + size == end_)
    end_ = offset;
  else
    insertFree(offset, size);
}

std::vector<BlockHeap::Pages> BlockHeap::releaseFree(size_t bytes) {
  std::vector<Pages> released;
  size_t left = bytes;
  const auto release = [&](size_t from, size_t to) {
    for (size_t page = to / kPage; page-- > roundUp(from, kPage) / kPage && left > 0;) {
      if (!pageTouched_[page]) continue;
      pageTouched_[page] = false;
      --touchedPages_;
      left -= std::min(left, kPage);
      if (!released.empty() && released.back().offset == (page + 1) * kPage) {
        released.back().offset -= kPage;
        released.back().bytes += kPage;
      } else {
        released.push_back({page * kPage, kPage});
      }
    }
  };
  release(end_, pageTouched_.size() * kPage);
  for (auto range = freeByOffset_.rbegin(); range != freeByOffset_.rend() && left > 0; ++range)
    release(range->first, range->first + range->second);
  return released;
}

void BlockHeap::insertFree(size_t offset, size_t bytes) {
  freeByOffset_.emplace(offset, bytes);
  freeBySize_.emplace(bytes, offset);
}

void BlockHeap::eraseFree(std::map<size_t, size_t>::iterator at) {
  freeBySize_.erase({at->second, at->first});
  freeByOffset_.erase(at);
}

void BlockHeap::touch(size_t offset, size_t bytes) {
  for (size_t page = offset / kPage; page <= (offset + bytes - 1) / kPage; ++page) {
    if (pageTouched_[page]) continue;
    pageTouched_[page] = true;
    ++touchedPages_;
  }
  mostTouchedPages_ = std::max(mostTouchedPages_, touchedPages_);
}

}  // namespace goshawk
