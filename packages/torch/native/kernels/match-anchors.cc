// Pairwise IoU, and the assignment of boxes to ground truth (Ren et al., Faster R-CNN, 2015, section 3.1.2) without the
// [ground truth, boxes] matrix: for 250,000 anchors and 100 objects that matrix takes 100 MB, this takes 3 MB.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "matching.h"

namespace goshawk {
namespace {

constexpr int64_t kAnchorBlock = 1024;
constexpr int64_t kBelowLow = -1;
constexpr int64_t kBetween = -2;

template <typename T>
BoxColumns<T> columns_of(const T* boxes, int64_t begin, int64_t end, T extra) {
  BoxColumns<T> columns;
  columns.reserve(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) {
    columns.push(boxes + i * 4, extra);
  }
  return columns;
}

/** out[i] = IoU of columns[i] with box. */
template <typename T>
void iou_row(const BoxColumns<T>& columns, const Box<T>& box, T extra, T* out) {
  const T* x1 = columns.x1.data();
  const T* y1 = columns.y1.data();
  const T* x2 = columns.x2.data();
  const T* y2 = columns.y2.data();
  const T* area = columns.area.data();
  const size_t count = columns.size();
  for (size_t i = 0; i < count; ++i) {
    out[i] = iou(x1[i], y1[i], x2[i], y2[i], area[i], box, extra);
  }
}

template <typename T>
at::Tensor box_iou_typed(const at::Tensor& a, const at::Tensor& b, bool plus_one) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const at::Tensor rows = a.to(dtype).contiguous();
  const at::Tensor others = b.to(dtype).contiguous();
  const int64_t width = others.size(0);
  const T extra = plus_one ? T(1) : T(0);
  at::Tensor result = at::empty({rows.size(0), width}, rows.options());
  const T* row_data = rows.data_ptr<T>();
  T* out = result.data_ptr<T>();
  const BoxColumns<T> columns = columns_of(others.data_ptr<T>(), 0, width, extra);
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, width));
  at::parallel_for(0, rows.size(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      iou_row(columns, Box<T>(row_data + i * 4, extra), extra, out + i * width);
    }
  });
  return result;
}

at::Tensor box_iou_cpu(const at::Tensor& a, const at::Tensor& b, bool plus_one) {
  check_boxes("box_iou", "a", a);
  check_boxes("box_iou", "b", b);
  return a.scalar_type() == at::kDouble || b.scalar_type() == at::kDouble ? box_iou_typed<double>(a, b, plus_one)
                                                                         : box_iou_typed<float>(a, b, plus_one);
}

/**
 * The index of the ground truth that each box matches, -1 below `low`, -2 between the thresholds: torchvision's Matcher
 * on box_iou in float32, equal IoUs going to the first ground truth. With allow_low_quality each box that reaches a
 * ground truth's best IoU is matched after all, to its own best. As there, a ground truth that no box overlaps has a
 * best IoU of 0, which every box that misses it reaches. An IoU that is not a number counts as 0.
 *
 * With last_claims it is mmdetection 1's MaxIoUAssigner: a ground truth takes the boxes that reach its best IoU from
 * whatever they matched before, the last one wins, and one that no box overlaps takes none.
 */
at::Tensor match_anchors_cpu(
    const at::Tensor& gt_boxes, const at::Tensor& boxes, double low, double high, bool allow_low_quality,
    bool plus_one, bool last_claims) {
  check_match_anchors(gt_boxes, boxes, low, high);
  const at::Tensor truth = gt_boxes.to(at::kFloat).contiguous();
  const at::Tensor anchors = boxes.to(at::kFloat).contiguous();
  const int64_t gt_count = truth.size(0);
  const int64_t count = anchors.size(0);
  if (gt_count == 0) {
    return at::full({count}, kBelowLow, at::kLong);
  }
  at::Tensor result = at::empty({count}, at::kLong);
  if (count == 0) {
    return result;
  }
  const float extra = plus_one ? 1.0f : 0.0f;
  const auto low_f = static_cast<float>(low);
  const auto high_f = static_cast<float>(high);
  const float* gt = truth.data_ptr<float>();
  const float* anchor = anchors.data_ptr<float>();
  int64_t* match = result.data_ptr<int64_t>();
  const int64_t blocks = (count + kAnchorBlock - 1) / kAnchorBlock;

  // The first pass notes the best IoU of each ground truth in each block of boxes, so that the second looks only into
  // the blocks that hold the best of all.
  std::vector<float> block_best(static_cast<size_t>(allow_low_quality ? blocks * gt_count : 0));
  std::vector<int32_t> argmax(static_cast<size_t>(allow_low_quality ? count : 0));
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    float overlap[kAnchorBlock];
    float best[kAnchorBlock];
    int32_t which[kAnchorBlock];
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = block * kAnchorBlock;
      const int64_t size = std::min(count - from, kAnchorBlock);
      const BoxColumns<float> columns = columns_of(anchor, from, from + size, extra);
      std::fill_n(best, size, 0.0f);
      std::fill_n(which, size, 0);
      for (int64_t g = 0; g < gt_count; ++g) {
        iou_row(columns, Box<float>(gt + g * 4, extra), extra, overlap);
        float top = 0.0f;
        for (int64_t i = 0; i < size; ++i) {
          const bool better = overlap[i] > best[i];
          best[i] = better ? overlap[i] : best[i];
          which[i] = better ? static_cast<int32_t>(g) : which[i];
        }
        if (allow_low_quality) {
          for (int64_t i = 0; i < size; ++i) {
            top = overlap[i] > top ? overlap[i] : top;
          }
          block_best[static_cast<size_t>(block * gt_count + g)] = top;
        }
      }
      for (int64_t i = 0; i < size; ++i) {
        match[from + i] = best[i] < low_f ? kBelowLow : best[i] < high_f ? kBetween : which[i];
      }
      if (allow_low_quality) {
        std::copy_n(which, size, argmax.data() + from);
      }
    }
  });
  if (!allow_low_quality) {
    return result;
  }

  std::vector<float> gt_best(static_cast<size_t>(gt_count), 0.0f);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t g = 0; g < gt_count; ++g) {
      float& best = gt_best[static_cast<size_t>(g)];
      best = std::max(best, block_best[static_cast<size_t>(block * gt_count + g)]);
    }
  }
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    float overlap[kAnchorBlock];
    for (int64_t block = begin; block < end; ++block) {
      const int64_t from = block * kAnchorBlock;
      const int64_t size = std::min(count - from, kAnchorBlock);
      BoxColumns<float> columns;
      for (int64_t g = 0; g < gt_count; ++g) {
        const float best = gt_best[static_cast<size_t>(g)];
        if (block_best[static_cast<size_t>(block * gt_count + g)] != best || (last_claims && best == 0.0f)) {
          continue;
        }
        if (columns.size() == 0) {
          columns = columns_of(anchor, from, from + size, extra);
        }
        iou_row(columns, Box<float>(gt + g * 4, extra), extra, overlap);
        for (int64_t i = 0; i < size; ++i) {
          const float value = overlap[i] > 0.0f ? overlap[i] : 0.0f;
          if (value == best) {
            match[from + i] = last_claims ? static_cast<int32_t>(g) : argmax[static_cast<size_t>(from + i)];
          }
        }
      }
    }
  });
  return result;
}

/** Rows of [K, 4] float32 `boxes` whose flag is set; null for all. */
at::Tensor rows_of(const at::Tensor& boxes, const bool* flags, std::vector<int64_t>& places) {
  places.clear();
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    if (flags == nullptr || flags[i]) {
      places.push_back(i);
    }
  }
  at::Tensor rows = at::empty({static_cast<int64_t>(places.size()), 4}, at::kFloat);
  const float* from = boxes.data_ptr<float>();
  float* to = rows.data_ptr<float>();
  for (const int64_t place : places) {
    to = std::copy_n(from + place * 4, 4, to);
  }
  return rows;
}

/** Objects that a box overlaps by at least `lowest`. */
std::vector<int64_t> claiming_objects(
    const at::Tensor& objects, const at::Tensor& boxes, bool plus_one, float lowest) {
  std::vector<int64_t> claiming;
  const at::Tensor overlaps = box_iou_typed<float>(objects, boxes, plus_one);
  const int64_t count = boxes.size(0);
  for (int64_t g = 0; g < objects.size(0); ++g) {
    const float* row = overlaps.data_ptr<float>() + g * count;
    if (std::any_of(row, row + count, [lowest](float iou) { return iou >= lowest; })) {
      claiming.push_back(g);
    }
  }
  return claiming;
}

/** match_anchors of one image; with a lowest_best_iou above 0 only objects that a box overlaps so much claim boxes. */
at::Tensor match_image(
    const at::Tensor& objects, const at::Tensor& boxes, double low, double high, bool allow_low_quality, bool plus_one,
    bool last_claims, double lowest_best_iou) {
  if (!allow_low_quality || lowest_best_iou <= 0) {
    return match_anchors_cpu(objects, boxes, low, high, allow_low_quality, plus_one, last_claims);
  }
  at::Tensor matches = match_anchors_cpu(objects, boxes, low, high, false, plus_one, false);
  const std::vector<int64_t> claiming =
      claiming_objects(objects, boxes, plus_one, static_cast<float>(lowest_best_iou));
  at::Tensor claimants = at::empty({static_cast<int64_t>(claiming.size()), 4}, at::kFloat);
  float* to = claimants.data_ptr<float>();
  for (const int64_t g : claiming) {
    to = std::copy_n(objects.data_ptr<float>() + g * 4, 4, to);
  }
  const at::Tensor claims = match_anchors_cpu(claimants, boxes, low, high, true, plus_one, last_claims);
  const int64_t* claim = claims.data_ptr<int64_t>();
  int64_t* match = matches.data_ptr<int64_t>();
  for (int64_t i = 0; i < matches.size(0); ++i) {
    if (claim[i] >= 0) {
      match[i] = claiming[static_cast<size_t>(claim[i])];
    }
  }
  return matches;
}

/**
 * match_anchors for the images of a batch at once, in tensors of one size: objects [N, G, 4], of which those count that are
 * `present` [N, G] (bool), against boxes [A, 4] of all images or [N, A, 4] of each. Gives [N, A] int64. Boxes that are not
 * taking_part ([N, A] bool; absent: all are) come out as -2, and no object's best IoU is theirs.
 *
 * With allow_low_quality and a lowest_best_iou above 0 a box is first matched as without allow_low_quality. Then the objects
 * whose best IoU is at least lowest_best_iou (both float32) are matched alone with allow_low_quality (and last_claims), and a box that
 * matches one of them there belongs to it.
 */
at::Tensor match_batch_cpu(
    const at::Tensor& objects, const at::Tensor& present, const at::Tensor& boxes,
    const c10::optional<at::Tensor>& taking_part, double low, double high, bool allow_low_quality, bool plus_one,
    bool last_claims, double lowest_best_iou) {
  const bool has_flags = taking_part.has_value() && taking_part->defined();
  check_match_batch(objects, present, boxes, has_flags ? *taking_part : at::Tensor(), low, high);
  const int64_t images = objects.size(0);
  const int64_t count = boxes.size(-2);
  const at::Tensor truth = objects.to(at::kFloat).contiguous();
  const at::Tensor is_present = present.contiguous();
  const at::Tensor candidates = boxes.to(at::kFloat).contiguous();
  const at::Tensor flags = has_flags ? taking_part->contiguous() : at::Tensor();
  at::Tensor result = at::full({images, count}, kBetween, at::kLong);
  std::vector<int64_t> object_places;
  std::vector<int64_t> places;
  for (int64_t n = 0; n < images; ++n) {
    const at::Tensor own_objects =
        rows_of(truth.select(0, n), is_present.data_ptr<bool>() + n * objects.size(1), object_places);
    const at::Tensor all = candidates.dim() == 3 ? candidates.select(0, n) : candidates;
    const at::Tensor own = has_flags ? rows_of(all, flags.data_ptr<bool>() + n * count, places) : all;
    const at::Tensor matches =
        match_image(own_objects, own, low, high, allow_low_quality, plus_one, last_claims, lowest_best_iou);
    const int64_t* match = matches.data_ptr<int64_t>();
    int64_t* out = result.data_ptr<int64_t>() + n * count;
    for (int64_t i = 0; i < matches.size(0); ++i) {
      const int64_t object = match[i] < 0 ? match[i] : object_places[static_cast<size_t>(match[i])];
      out[has_flags ? places[static_cast<size_t>(i)] : i] = object;
    }
  }
  return result;
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("box_iou", TORCH_FN(goshawk::box_iou_cpu));
  m.impl("match_anchors", TORCH_FN(goshawk::match_anchors_cpu));
  m.impl("match_batch", TORCH_FN(goshawk::match_batch_cpu));
}
