// Greedy non-maximum suppression: a box is kept unless an already kept box of its group, of higher score, overlaps it by
// more than a threshold. A candidate is compared with the kept boxes, not a kept box with all that follow: most
// candidates meet their suppressor early. Ties in score go by index; NaN scores come last; NaN boxes overlap nothing.
//
// torchvision's batched_nms moves the boxes of each group apart by an offset and so rounds their coordinates (an IoU near
// the threshold can flip); here groups are compared apart, and the result is what its definition says.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

#include "suppression.h"

namespace goshawk {
namespace {

template <typename T>
bool overlaps_any(const BoxColumns<T>& kept, size_t from, const Box<T>& box, const SuppressionRule<T>& rule) {
  constexpr size_t kBlock = 128;
  const T* x1 = kept.x1.data();
  const T* y1 = kept.y1.data();
  const T* x2 = kept.x2.data();
  const T* y2 = kept.y2.data();
  const T* area = kept.area.data();
  const size_t count = kept.size();
  for (size_t start = from; start < count; start += kBlock) {
    const size_t end = std::min(start + kBlock, count);
    int hits = 0;
    for (size_t i = start; i < end; ++i) {
      hits |= iou(x1[i], y1[i], x2[i], y2[i], area[i], box, rule.extra) >= rule.threshold ? 1 : 0;
    }
    if (hits != 0) {
      return true;
    }
  }
  return false;
}

/** Sets keep[i] for the boxes order[0..count), best first, that survive. */
template <typename T>
void suppress(const T* boxes, const int64_t* order, int64_t count, const SuppressionRule<T>& rule, uint8_t* keep) {
  // Within a tile the candidates meet the boxes kept before it side by side, then those kept inside it one by one.
  constexpr int64_t kTile = 512;
  BoxColumns<T> kept;
  std::vector<uint8_t> suppressed(static_cast<size_t>(std::min(kTile, count)));
  for (int64_t tile = 0; tile < count; tile += kTile) {
    const int64_t tile_end = std::min(tile + kTile, count);
    const size_t before = kept.size();
    const int64_t grain = before == 0 ? kTile : std::max<int64_t>(1, (1 << 17) / static_cast<int64_t>(before));
    at::parallel_for(tile, tile_end, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        suppressed[static_cast<size_t>(i - tile)] =
            overlaps_any(kept, 0, Box<T>(boxes + order[i] * 4, rule.extra), rule) ? 1 : 0;
      }
    });
    for (int64_t i = tile; i < tile_end; ++i) {
      const T* box = boxes + order[i] * 4;
      if (suppressed[static_cast<size_t>(i - tile)] == 0 &&
          !overlaps_any(kept, before, Box<T>(box, rule.extra), rule)) {
        kept.push(box, rule.extra);
        keep[order[i]] = 1;
      }
    }
  }
}

/** Sorts indices by descending score. */
template <typename T>
void sort_by_score(std::vector<int64_t>& order, const T* scores) {
  std::sort(order.begin(), order.end(), [scores](int64_t a, int64_t b) {
    const T left = scores[a];
    const T right = scores[b];
    if (left > right) {
      return true;
    }
    if (left < right) {
      return false;
    }
    const bool left_nan = std::isnan(left);
    const bool right_nan = std::isnan(right);
    return left_nan != right_nan ? right_nan : a < b;
  });
}

/** Sets keep[i] for those of `order`, best first, that survive; `groups`, which may be null, is read at the same i. */
template <typename T>
void suppress_in_groups(
    const T* boxes, const std::vector<int64_t>& order, const int64_t* groups, const SuppressionRule<T>& rule,
    uint8_t* keep) {
  const auto count = static_cast<int64_t>(order.size());
  if (groups == nullptr) {
    suppress(boxes, order.data(), count, rule, keep);
    return;
  }
  std::vector<int64_t> grouped = order;
  std::stable_sort(
      grouped.begin(), grouped.end(), [groups](int64_t a, int64_t b) { return groups[a] < groups[b]; });
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < count; ++i) {
    if (i == 0 || groups[grouped[static_cast<size_t>(i)]] != groups[grouped[static_cast<size_t>(i - 1)]]) {
      starts.push_back(i);
    }
  }
  starts.push_back(count);
  const auto group_count = static_cast<int64_t>(starts.size()) - 1;
  at::parallel_for(0, group_count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t from = starts[static_cast<size_t>(g)];
      suppress(boxes, grouped.data() + from, starts[static_cast<size_t>(g) + 1] - from, rule, keep);
    }
  });
}

template <typename T>
at::Tensor run(
    const at::Tensor& boxes, const at::Tensor& scores, const int64_t* groups, const SuppressionRule<T>& rule) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const at::Tensor box_data = boxes.to(dtype).contiguous();
  const at::Tensor score_data = scores.to(dtype).contiguous();
  std::vector<int64_t> order(static_cast<size_t>(boxes.size(0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  sort_by_score(order, score_data.data_ptr<T>());
  std::vector<uint8_t> keep(order.size(), 0);
  suppress_in_groups(box_data.data_ptr<T>(), order, groups, rule, keep.data());
  const auto kept = static_cast<int64_t>(std::accumulate(keep.begin(), keep.end(), int64_t{0}));
  at::Tensor result = at::empty({kept}, at::kLong);
  int64_t* out = result.data_ptr<int64_t>();
  for (const int64_t i : order) {
    if (keep[static_cast<size_t>(i)] != 0) {
      *out++ = i;
    }
  }
  return result;
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> run_first(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, int64_t most,
    const SuppressionRule<T>& rule) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const at::Tensor box_data = boxes.to(dtype).contiguous();
  const at::Tensor score_data = scores.to(dtype).contiguous();
  const int64_t images = scores.size(0);
  const int64_t count = scores.size(1);
  at::Tensor kept = at::zeros({images, most}, at::kLong);
  at::Tensor valid = at::zeros({images, most}, at::kBool);
  const T* box = box_data.data_ptr<T>();
  const T* score = score_data.data_ptr<T>();
  const int64_t* group = groups.data_ptr<int64_t>();
  const int64_t group_step = groups.dim() == 2 ? count : 0;
  for (int64_t n = 0; n < images; ++n) {
    const T* own = score + n * count;
    std::vector<int64_t> order;
    for (int64_t i = 0; i < count; ++i) {
      if (own[i] != -std::numeric_limits<T>::infinity()) {
        order.push_back(i);
      }
    }
    sort_by_score(order, own);
    std::vector<uint8_t> keep(static_cast<size_t>(count), 0);
    suppress_in_groups(box + n * count * 4, order, group + n * group_step, rule, keep.data());
    int64_t* index = kept.data_ptr<int64_t>() + n * most;
    bool* is_kept = valid.data_ptr<bool>() + n * most;
    int64_t found = 0;
    for (size_t at = 0; at < order.size() && found < most; ++at) {
      if (keep[static_cast<size_t>(order[at])] != 0) {
        index[found] = order[at];
        is_kept[found++] = true;
      }
    }
  }
  return {kept, valid};
}

at::Tensor dispatch(
    const at::Tensor& boxes, const at::Tensor& scores, const int64_t* groups, double threshold, bool plus_one,
    bool suppress_equal) {
  if (suppression_type(boxes, scores) == at::kDouble) {
    return run<double>(boxes, scores, groups, suppression_rule<double>(threshold, plus_one, suppress_equal));
  }
  return run<float>(boxes, scores, groups, suppression_rule<float>(threshold, plus_one, suppress_equal));
}

at::Tensor nms_cpu(
    const at::Tensor& boxes, const at::Tensor& scores, double threshold, bool plus_one, bool suppress_equal) {
  check_candidates("nms", boxes, scores);
  return dispatch(boxes, scores, nullptr, threshold, plus_one, suppress_equal);
}

at::Tensor batched_nms_cpu(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double threshold, bool plus_one,
    bool suppress_equal) {
  check_candidates("batched_nms", boxes, scores);
  check_candidate_groups(boxes, groups);
  const at::Tensor ids = groups.to(at::kLong).contiguous();
  return dispatch(boxes, scores, ids.data_ptr<int64_t>(), threshold, plus_one, suppress_equal);
}

/**
 * The first `count` of what batched_nms keeps, image by image, in results whose size does not depend on values, so that a
 * card need not be waited for: [N, count] indices, best score first, and whether each is one; 0 and false behind the last.
 * boxes: [N, K, 4]; scores: [N, K]; groups: [N, K], or [K] for all images. A candidate with a score of -infinity takes no part:
 * it is not kept and suppresses nothing. Otherwise as batched_nms: equal scores go by index, NaN scores come last, NaN boxes
 * overlap nothing.
 */
std::tuple<at::Tensor, at::Tensor> nms_first_cpu(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double threshold, int64_t count,
    bool plus_one, bool suppress_equal) {
  check_nms_first(boxes, scores, groups, count);
  const at::Tensor ids = groups.to(at::kLong).contiguous();
  if (suppression_type(boxes, scores) == at::kDouble) {
    return run_first<double>(boxes, scores, ids, count, suppression_rule<double>(threshold, plus_one, suppress_equal));
  }
  return run_first<float>(boxes, scores, ids, count, suppression_rule<float>(threshold, plus_one, suppress_equal));
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("nms", TORCH_FN(goshawk::nms_cpu));
  m.impl("batched_nms", TORCH_FN(goshawk::batched_nms_cpu));
  m.impl("nms_first", TORCH_FN(goshawk::nms_first_cpu));
}
