// Suppression on a card: the kernels of code/nms.cu one after another; defined in kernels/nms.cc. Decisions are the CPU's.
#include "device-operators.h"
#include "device/code/nms-order.h"
#include "kernels/suppression.h"
#include "launch.h"

#include <algorithm>
#include <tuple>

namespace goshawk {
namespace {

/**
 * Up to so many pairs of candidates places come by counting, in one launch; else by sorting. Their instructions are worth a tenth of a
 * millisecond of an H100, and sorts as many launches.
 */
constexpr int64_t kMostCountedPairs = int64_t{1} << 28;
constexpr int64_t kLargestChunk = 4096;
constexpr int64_t kLeastChunk = 1024;
/** Of the matrix of bits, which takes chunk / 8 a candidate. */
constexpr int64_t kMatrixBytes = int64_t{64} << 20;

/** Candidates of images, all of one type and contiguous. */
struct Candidates {
  at::Tensor boxes;
  at::Tensor scores;
  /** Undefined where all are of one group. */
  at::Tensor groups;
  /** Those of -infinity take no part. */
  bool excludes;

  int64_t images() const {
    return scores.size(0);
  }
  int64_t count() const {
    return scores.size(1);
  }
  int64_t group_step() const {
    return groups.defined() && groups.dim() == 2 ? count() : 0;
  }
  const int64_t* group_data() const {
    return groups.defined() ? groups.data_ptr<int64_t>() : nullptr;
  }
};

/** `groups` may be undefined. */
Candidates candidates_of(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, bool excludes) {
  const at::ScalarType type = suppression_type(boxes, scores);
  const Candidates candidates{
      boxes.to(type).contiguous(), scores.to(type).contiguous(),
      groups.defined() ? groups.to(at::kLong).contiguous() : groups, excludes};
  TORCH_CHECK(
      candidates.images() < 65536 && candidates.count() < (1 << 30), "nms: ", candidates.images(), " images of ",
      candidates.count(), " boxes are too many for one call");
  return candidates;
}

/** The tensors that a SuppressionOrder points into. */
struct OrderTensors {
  at::Tensor boxes, first, end, rank, by_score, kept;

  explicit OrderTensors(const Candidates& candidates) {
    boxes = at::empty_like(candidates.boxes);
    const auto sizes = candidates.scores.sizes();
    const auto options = candidates.scores.options().dtype(at::kInt);
    first = at::empty(sizes, options);
    end = at::empty(sizes, options);
    rank = at::empty(sizes, options);
    by_score = at::empty(sizes, options);
    kept = at::empty(sizes, options.dtype(at::kByte));
  }

  template <typename T>
  SuppressionOrder<T> order() const {
    return {
        static_cast<int>(kept.size(1)), boxes.data_ptr<T>(), first.data_ptr<int>(), end.data_ptr<int>(),
        rank.data_ptr<int>(), by_score.data_ptr<int>(), kept.data_ptr<uint8_t>()};
  }
};

LaunchShape of_images(const Candidates& candidates, int64_t threads_an_image) {
  LaunchShape shape = one_thread_each(threads_an_image);
  shape.rows = static_cast<unsigned>(candidates.images());
  return shape;
}

template <typename T>
void count_places(const Candidates& candidates, const SuppressionOrder<T>& order) {
  // A warp for four candidates.
  launch_kernel(
      {"nms", "nms_count_places", candidates.scores.scalar_type()},
      of_images(candidates, (candidates.count() + 3) / 4 * 32), candidates.scores, candidates.boxes.data_ptr<T>(), candidates.scores.data_ptr<T>(), candidates.group_data(),
      candidates.group_step(), candidates.excludes ? 1 : 0, order);
}

template <typename T>
void sort_places(const Candidates& candidates, const SuppressionOrder<T>& order) {
  const at::ScalarType type = candidates.scores.scalar_type();
  const int excludes = candidates.excludes ? 1 : 0;
  const int count = static_cast<int>(candidates.count());
  const T* scores = candidates.scores.data_ptr<T>();
  const auto options = candidates.scores.options().dtype(at::kLong);
  const auto sorted_by = [](const at::Tensor& keys) {
    return at::sort(keys, c10::optional<bool>(true), /*dim=*/1, /*descending=*/false);
  };
  const at::Tensor keys = at::empty(candidates.scores.sizes(), options);
  launch_kernel(
      {"nms", "nms_sort_keys", type}, one_thread_each(keys.numel()), keys, scores, keys.numel(), excludes,
      keys.data_ptr<int64_t>());
  const at::Tensor by_score = std::get<1>(sorted_by(keys)).contiguous();
  const at::Tensor by_rank = at::empty_like(keys);
  launch_kernel(
      {"nms", "nms_groups_by_rank", type}, of_images(candidates, count), keys, scores, candidates.group_data(),
      candidates.group_step(), by_score.data_ptr<int64_t>(), count, excludes, by_rank.data_ptr<int64_t>());
  const auto [groups, ranks] = sorted_by(by_rank);
  const at::Tensor grouped = groups.contiguous();
  const at::Tensor rank = ranks.contiguous();
  launch_kernel(
      {"nms", "nms_sorted_places", type}, of_images(candidates, count), keys, candidates.boxes.data_ptr<T>(), scores,
      by_score.data_ptr<int64_t>(), grouped.data_ptr<int64_t>(), rank.data_ptr<int64_t>(), excludes, order);
}

/** Fills in all of the order, `kept` too. */
template <typename T>
void suppress_on_card(const Candidates& candidates, const SuppressionOrder<T>& order, const SuppressionRule<T>& rule) {
  const int64_t images = candidates.images();
  const int64_t count = candidates.count();
  if (images * count * count <= kMostCountedPairs) {
    count_places(candidates, order);
  } else {
    sort_places(candidates, order);
  }
  int64_t chunk = kLargestChunk;
  while (chunk > kLeastChunk && (images * count * chunk / 8 > kMatrixBytes || chunk / 2 >= count)) {
    chunk /= 2;
  }
  const at::ScalarType type = candidates.scores.scalar_type();
  const at::Tensor bits = at::empty({images, chunk / 64, count}, candidates.scores.options().dtype(at::kLong));
  auto* const words = reinterpret_cast<uint64_t*>(bits.data_ptr<int64_t>());
  const auto rows = static_cast<unsigned>(images);
  const auto tiles = static_cast<unsigned>((count + 255) / 256);
  launch_kernel(
      {"nms", "nms_overlaps", type}, {tiles * static_cast<unsigned>(chunk / 64), 256, rows}, bits, order,
      static_cast<int>(chunk), rule.threshold, rule.extra, words);
  const at::Tensor survivors = at::empty({images, count}, bits.options().dtype(at::kInt));
  launch_kernel(
      {"nms", "nms_walk", type}, {static_cast<unsigned>((count + 63) / 64), 512, rows}, bits, order,
      static_cast<int>(chunk), rule.threshold, rule.extra, words, survivors.data_ptr<int>());
}

void gather(
    const OrderTensors& tensors, at::ScalarType type, const at::Tensor& result, uint8_t* valid, int64_t* total) {
  const int64_t threads = std::min<int64_t>((tensors.kept.size(1) + 31) / 32 * 32, 1024);
  launch_kernel(
      {"nms", "nms_gather", type}, {1, static_cast<unsigned>(threads), static_cast<unsigned>(result.size(0))}, result,
      tensors.kept.data_ptr<uint8_t>(), tensors.by_score.data_ptr<int>(), static_cast<int>(tensors.kept.size(1)),
      result.size(1), result.data_ptr<int64_t>(), valid, total);
}

OrderTensors suppressed(
    const Candidates& candidates, double threshold, bool plus_one, bool suppress_equal) {
  const OrderTensors tensors(candidates);
  if (candidates.scores.scalar_type() == at::kDouble) {
    suppress_on_card(
        candidates, tensors.order<double>(), suppression_rule<double>(threshold, plus_one, suppress_equal));
  } else {
    suppress_on_card(candidates, tensors.order<float>(), suppression_rule<float>(threshold, plus_one, suppress_equal));
  }
  return tensors;
}

/** The host waits once, for the number of what is kept: the size of the result. */
at::Tensor all_kept(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double threshold, bool plus_one,
    bool suppress_equal) {
  const auto options = scores.options().dtype(at::kLong);
  const int64_t count = scores.size(0);
  if (count == 0) {
    return at::empty({0}, options);
  }
  const Candidates candidates = candidates_of(
      boxes.unsqueeze(0), scores.unsqueeze(0), groups.defined() ? groups.unsqueeze(0) : groups, /*excludes=*/false);
  const OrderTensors tensors = suppressed(candidates, threshold, plus_one, suppress_equal);
  const at::Tensor result = at::empty({1, count}, options);
  const at::Tensor total = at::empty({1}, options);
  gather(tensors, candidates.scores.scalar_type(), result, nullptr, total.data_ptr<int64_t>());
  return result[0].narrow(0, 0, total.item<int64_t>());
}

at::Tensor nms_on_card(
    const at::Tensor& boxes, const at::Tensor& scores, double threshold, bool plus_one, bool suppress_equal) {
  check_candidates("nms", boxes, scores);
  return all_kept(boxes, scores, at::Tensor(), threshold, plus_one, suppress_equal);
}

at::Tensor batched_nms_on_card(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double threshold, bool plus_one,
    bool suppress_equal) {
  check_candidates("batched_nms", boxes, scores);
  check_candidate_groups(boxes, groups);
  return all_kept(boxes, scores, groups, threshold, plus_one, suppress_equal);
}

/** Nothing is read back. */
std::tuple<at::Tensor, at::Tensor> nms_first_on_card(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, double threshold, int64_t count,
    bool plus_one, bool suppress_equal) {
  check_nms_first(boxes, scores, groups, count);
  const auto options = scores.options();
  const int64_t images = scores.size(0);
  if (scores.numel() == 0 || count == 0) {
    return {at::zeros({images, count}, options.dtype(at::kLong)), at::zeros({images, count}, options.dtype(at::kBool))};
  }
  const Candidates candidates = candidates_of(boxes, scores, groups, /*excludes=*/true);
  const OrderTensors tensors = suppressed(candidates, threshold, plus_one, suppress_equal);
  at::Tensor kept = at::empty({images, count}, options.dtype(at::kLong));
  at::Tensor valid = at::empty({images, count}, options.dtype(at::kBool));
  gather(
      tensors, candidates.scores.scalar_type(), kept, reinterpret_cast<uint8_t*>(valid.data_ptr<bool>()), nullptr);
  return {kept, valid};
}

} // namespace

void implement_nms(torch::Library& m) {
  m.impl("nms", TORCH_FN(nms_on_card));
  m.impl("batched_nms", TORCH_FN(batched_nms_on_card));
  m.impl("nms_first", TORCH_FN(nms_first_on_card));
}

} // namespace goshawk
