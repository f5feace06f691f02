// COCO's run lengths of masks, as kernels make them: pixels by columns, zeros first.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

namespace goshawk {

class RunWriter {
 public:
  explicit RunWriter(std::vector<int32_t>& runs) : runs_(runs), first_(runs.size()) {
    runs_.push_back(0);
  }

  void add(bool value, int64_t count) {
    if (count <= 0) {
      return;
    }
    if (((runs_.size() - first_) % 2 == 0) != value) {
      runs_.push_back(0);
    }
    runs_.back() += static_cast<int32_t>(count);
  }

 private:
  std::vector<int32_t>& runs_;
  size_t first_;
};

/** The runs of all masks one after the other, int32, and where each mask's begin and the last's end, int64. */
inline std::tuple<at::Tensor, at::Tensor> joined_runs(const std::vector<std::vector<int32_t>>& runs) {
  const int64_t count = static_cast<int64_t>(runs.size());
  at::Tensor offsets = at::empty({count + 1}, at::kLong);
  int64_t* offset = offsets.data_ptr<int64_t>();
  offset[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    offset[i + 1] = offset[i] + static_cast<int64_t>(runs[static_cast<size_t>(i)].size());
  }
  at::Tensor counts = at::empty({offset[count]}, at::kInt);
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<int32_t>& list = runs[static_cast<size_t>(i)];
    std::copy(list.begin(), list.end(), counts.data_ptr<int32_t>() + offset[i]);
  }
  return {counts, offsets};
}

} // namespace goshawk
