// Greedy non-maximum suppression of the images of a batch, as kernels/nms.cc defines it, in steps that a host need not wait for:
// candidates take their places in the order of group, score and index; which of a group overlap becomes a matrix of bits; a block
// a group walks it row by row; what is kept is gathered in the order of scores.
//
// The matrix is only as wide as a chunk of a group, so that memory is bounded: later chunks of a large group are compared with what
// was kept of the earlier ones.
#include "device/code/scalar.cuh"

#include "arithmetic/box-overlap.h"
#include "device/code/nms-order.h"

namespace goshawk {

#if GOSHAWK_SCALAR == 1
typedef uint64_t ScoreKey;
#else
typedef uint32_t ScoreKey;
#endif

constexpr int kBitsPerWord = 64;
constexpr int kLargestChunk = 4096;
constexpr int kCandidatesPerWarp = 4;
/** The key of what takes no part. */
constexpr ScoreKey kLastKey = ~static_cast<ScoreKey>(0);

/** Rises as the score falls; behind all numbers comes NaN, behind NaN what takes no part: -infinity, if `excludes`. */
__device__ inline ScoreKey score_key(const Wide* at, bool excludes) {
  constexpr ScoreKey kSign = static_cast<ScoreKey>(1) << (sizeof(ScoreKey) * 8 - 1);
  const Wide score = *at;
  if (score != score) {
    return kLastKey - 1;
  }
  if (excludes && score < Wide(0) && score - score != Wide(0)) {
    return kLastKey;
  }
  const ScoreKey bits = *reinterpret_cast<const ScoreKey*>(at);
  // Both zeros are one.
  const ScoreKey rising = score == Wide(0) ? kSign : (bits & kSign) != 0 ? ~bits : bits | kSign;
  return ~rising;
}

/** Groups of all images (group_step 0) or of each; null: all are of one. */
__device__ inline int64_t group_of(const int64_t* groups, int64_t group_step, int candidate) {
  return groups == nullptr ? 0 : groups[blockIdx.y * group_step + candidate];
}

__device__ inline int sum_of_warp(int value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

__device__ inline void place_candidate(
    const SuppressionOrder<Wide>& order, const Wide* boxes, int64_t base, int candidate, int place, int rank, int first,
    int end) {
  order.first[base + place] = first;
  order.end[base + place] = end;
  order.rank[base + place] = rank;
  for (int i = 0; i < 4; ++i) {
    order.boxes[(base + place) * 4 + i] = boxes[(base + candidate) * 4 + i];
  }
}

/** Places by counting, for every candidate, those before it: a warp for kCandidatesPerWarp of them. Grid: y is the image. */
GOSHAWK_KERNEL void __launch_bounds__(256) nms_count_places(
    const Wide* boxes, const Wide* scores, const int64_t* groups, int64_t group_step, int excludes,
    SuppressionOrder<Wide> order) {
  const int count = order.count;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int from = static_cast<int>(thread_number() / 32) * kCandidatesPerWarp;
  const int64_t base = static_cast<int64_t>(blockIdx.y) * count;
  if (from >= count) {
    return;
  }
  ScoreKey key[kCandidatesPerWarp];
  int64_t group[kCandidatesPerWarp];
  int before[kCandidatesPerWarp], lower[kCandidatesPerWarp], same[kCandidatesPerWarp], same_before[kCandidatesPerWarp];
  for (int c = 0; c < kCandidatesPerWarp; ++c) {
    const int candidate = from + c < count ? from + c : count - 1;
    key[c] = score_key(scores + base + candidate, excludes != 0);
    group[c] = group_of(groups, group_step, candidate);
    before[c] = lower[c] = same[c] = same_before[c] = 0;
  }
  for (int other = lane; other < count; other += 32) {
    const ScoreKey other_key = score_key(scores + base + other, excludes != 0);
    const int64_t other_group = group_of(groups, group_step, other);
    const bool takes_part = other_key != kLastKey;
    for (int c = 0; c < kCandidatesPerWarp; ++c) {
      const bool is_before = other_key < key[c] || (other_key == key[c] && other < from + c);
      const bool is_same = takes_part && other_group == group[c];
      before[c] += is_before ? 1 : 0;
      lower[c] += takes_part && other_group < group[c] ? 1 : 0;
      same[c] += is_same ? 1 : 0;
      same_before[c] += is_same && is_before ? 1 : 0;
    }
  }
  for (int c = 0; c < kCandidatesPerWarp; ++c) {
    const int rank = sum_of_warp(before[c]);
    const int first = sum_of_warp(lower[c]);
    const int size = sum_of_warp(same[c]);
    const int within = sum_of_warp(same_before[c]);
    if (lane == 0 && from + c < count) {
      const bool takes_part = key[c] != kLastKey;
      const int place = takes_part ? first + within : rank;
      const int group_first = takes_part ? first : place;
      const int group_end = takes_part ? first + size : place;
      place_candidate(order, boxes, base, from + c, place, rank, group_first, group_end);
      order.by_score[base + rank] = from + c;
      order.kept[base + rank] = 0;
    }
  }
}

/** Keys that an ascending sort of int64 puts in the order of scores, for more candidates than are worth counting. */
GOSHAWK_KERNEL void nms_sort_keys(const Wide* scores, int64_t total, int excludes, int64_t* keys) {
  for (int64_t i = thread_number(); i < total; i += thread_count()) {
    const ScoreKey key = score_key(scores + i, excludes != 0);
#if GOSHAWK_SCALAR == 1
    keys[i] = static_cast<int64_t>(key ^ (static_cast<ScoreKey>(1) << 63));
#else
    keys[i] = static_cast<int64_t>(key);
#endif
  }
}

/** The group of each rank. Behind the ranks of those that take part it is the last of all numbers. Grid: y is the image. */
GOSHAWK_KERNEL void nms_groups_by_rank(
    const Wide* scores, const int64_t* groups, int64_t group_step, const int64_t* sorted, int count, int excludes,
    int64_t* by_rank) {
  const int rank = static_cast<int>(thread_number());
  const int64_t base = static_cast<int64_t>(blockIdx.y) * count;
  if (rank < count) {
    const int candidate = static_cast<int>(sorted[base + rank]);
    const bool takes_part = score_key(scores + base + candidate, excludes != 0) != kLastKey;
    by_rank[base + rank] = takes_part ? group_of(groups, group_step, candidate) : 0x7fffffffffffffffll;
  }
}

/**
 * Places of what is sorted: `sorted` candidates by rank, `grouped` groups by place, `ranks` by place. Grid: y is the image.
 */
GOSHAWK_KERNEL void nms_sorted_places(
    const Wide* boxes, const Wide* scores, const int64_t* sorted, const int64_t* grouped, const int64_t* ranks,
    int excludes, SuppressionOrder<Wide> order) {
  const int count = order.count;
  const int place = static_cast<int>(thread_number());
  const int64_t base = static_cast<int64_t>(blockIdx.y) * count;
  if (place >= count) {
    return;
  }
  const int rank = static_cast<int>(ranks[base + place]);
  const int candidate = static_cast<int>(sorted[base + rank]);
  order.by_score[base + place] = static_cast<int>(sorted[base + place]);
  order.kept[base + place] = 0;
  if (score_key(scores + base + candidate, excludes != 0) == kLastKey) {
    place_candidate(order, boxes, base, candidate, place, rank, place, place);
    return;
  }
  // Ranks of those that take part come first, also of the last group, whose number those that do not have.
  int taking_part = place + 1;
  for (int high = count; taking_part < high;) {
    const int middle = taking_part + (high - taking_part) / 2;
    const int64_t other = sorted[base + ranks[base + middle]];
    if (score_key(scores + base + other, excludes != 0) != kLastKey) {
      taking_part = middle + 1;
    } else {
      high = middle;
    }
  }
  const int64_t group = grouped[base + place];
  int first = 0;
  for (int high = place; first < high;) {
    const int middle = first + (high - first) / 2;
    if (grouped[base + middle] < group) {
      first = middle + 1;
    } else {
      high = middle;
    }
  }
  int end = place + 1;
  for (int high = taking_part; end < high;) {
    const int middle = end + (high - end) / 2;
    if (grouped[base + middle] <= group) {
      end = middle + 1;
    } else {
      high = middle;
    }
  }
  place_candidate(order, boxes, base, candidate, place, rank, first, end);
}

__device__ inline Box<Wide> candidate_box(const SuppressionOrder<Wide>& order, int64_t place, Wide extra) {
  return Box<Wide>(order.boxes + place * 4, extra);
}

__device__ inline bool suppresses(const Box<Wide>& kept, const Box<Wide>& box, Wide threshold, Wide extra) {
  return iou(kept.x1, kept.y1, kept.x2, kept.y2, kept.area, box, extra) >= threshold;
}

/** Where a word of bits of a row lies: [images, words, count], so that the rows of a tile lie side by side. */
__device__ inline int64_t word_at(int words, int word, int count, int place) {
  return (static_cast<int64_t>(blockIdx.y) * words + word) * count + place;
}

/**
 * Bit b of word w of a place's row: whether the place overlaps the place 64 w + b behind the start of their chunk, which is of
 * the same group and later. Words before the place's own or behind the group are not written. A thread a place; grid: x is
 * tiles of 256 places within words, y the image.
 */
GOSHAWK_KERNEL void __launch_bounds__(256) nms_overlaps(
    SuppressionOrder<Wide> order, int chunk, Wide threshold, Wide extra, uint64_t* bits) {
  const int tiles = (order.count + 255) / 256;
  const int place = static_cast<int>(blockIdx.x) % tiles * 256 + static_cast<int>(threadIdx.x);
  const int word = static_cast<int>(blockIdx.x) / tiles;
  if (place >= order.count) {
    return;
  }
  const int64_t base = static_cast<int64_t>(blockIdx.y) * order.count;
  const int end = order.end[base + place];
  const int within = (place - order.first[base + place]) % chunk;
  const int chunk_from = place - within;
  const int from = chunk_from + word * kBitsPerWord;
  const int chunk_to = end - chunk_from < chunk ? end : chunk_from + chunk;
  if (place >= end || word < within / kBitsPerWord || from >= chunk_to) {
    return;
  }
  const int to = chunk_to - from < kBitsPerWord ? chunk_to : from + kBitsPerWord;
  const Box<Wide> row = candidate_box(order, base + place, extra);
  uint64_t found = 0;
  for (int other = from; other < to; ++other) {
    const bool hit = other > place && suppresses(row, candidate_box(order, base + other, extra), threshold, extra);
    found |= static_cast<uint64_t>(hit ? 1 : 0) << (other - from);
  }
  bits[word_at(chunk / kBitsPerWord, word, order.count, place)] = found;
}

constexpr int kWalkThreads = 512;
constexpr int kWalkWarps = kWalkThreads / 32;

/** What the threads of a block that walks share. */
struct WalkState {
  unsigned removed[kLargestChunk / 32];
  uint64_t rows[kBitsPerWord];
  uint64_t kept;
};

/** Of a chunk [from, to): removes what a survivor of earlier chunks overlaps. */
__device__ inline void remove_by_survivors(
    const SuppressionOrder<Wide>& order, int64_t base, int from, int to, const int* survivors, int survivor_count,
    Wide threshold, Wide extra, WalkState& state) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int words = (to - from + kBitsPerWord - 1) / kBitsPerWord;
  for (int word = static_cast<int>(threadIdx.x / 32); word < 2 * words; word += kWalkWarps) {
    const int place = from + word * 32 + lane;
    bool hit = false;
    if (place < to && survivor_count > 0) {
      const Box<Wide> box = candidate_box(order, base + place, extra);
      for (int i = 0; i < survivor_count && !hit; ++i) {
        hit = suppresses(candidate_box(order, base + survivors[i], extra), box, threshold, extra);
      }
    }
    const unsigned hits = __ballot_sync(0xffffffffu, hit);
    if (lane == 0) {
      state.removed[word] = hits;
    }
  }
}

/** Decides about a group, which begins at place `group`. */
__device__ inline void walk_group(
    const SuppressionOrder<Wide>& order, int64_t base, int group, int chunk, Wide threshold, Wide extra,
    const uint64_t* bits, int* survivors, WalkState& state) {
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  const int all_words = chunk / kBitsPerWord;
  const int end = order.end[base + group];
  int survivor_count = 0;
  for (int from = group; from < end; from += chunk) {
    const int to = end - from < chunk ? end : from + chunk;
    const int words = (to - from + kBitsPerWord - 1) / kBitsPerWord;
    remove_by_survivors(order, base, from, to, survivors, survivor_count, threshold, extra, state);
    for (int word = 0; word < words; ++word) {
      const int first = from + word * kBitsPerWord;
      const int rows = to - first < kBitsPerWord ? to - first : kBitsPerWord;
      if (thread < rows) {
        state.rows[thread] = bits[word_at(all_words, word, order.count, first + thread)];
      }
      __syncthreads();
      if (thread == 0) {
        const uint64_t removed = state.removed[2 * word] | static_cast<uint64_t>(state.removed[2 * word + 1]) << 32;
        uint64_t left = ~removed & (~static_cast<uint64_t>(0) >> (kBitsPerWord - rows));
        uint64_t kept = 0;
        while (left != 0) {
          const int row = __ffsll(static_cast<long long>(left)) - 1;
          kept |= static_cast<uint64_t>(1) << row;
          left &= left - 1;
          left &= ~state.rows[row];
        }
        state.kept = kept;
      }
      __syncthreads();
      const uint64_t kept = state.kept;
      if (thread < rows && (kept >> thread & 1) != 0) {
        const uint64_t earlier = kept & ((static_cast<uint64_t>(1) << thread) - 1);
        survivors[survivor_count + __popcll(earlier)] = first + thread;
        order.kept[base + order.rank[base + first + thread]] = 1;
      }
      survivor_count += __popcll(kept);
      for (int later = word + 1 + thread / 32; later < words; later += kWalkWarps) {
        uint64_t hits = 0;
        for (int row = lane; row < kBitsPerWord; row += 32) {
          if ((kept >> row & 1) != 0) {
            hits |= bits[word_at(all_words, later, order.count, first + row)];
          }
        }
        for (int distance = 16; distance > 0; distance /= 2) {
          hits |= __shfl_xor_sync(0xffffffffu, hits, distance);
        }
        if (lane == 0) {
          state.removed[2 * later] |= static_cast<unsigned>(hits);
          state.removed[2 * later + 1] |= static_cast<unsigned>(hits >> 32);
        }
      }
      __syncthreads();
    }
  }
}

/**
 * A block decides about the groups that begin among 64 places; grid: x is those, y the image. `survivors`: room for the places of
 * what is kept, [images, count].
 */
GOSHAWK_KERNEL void __launch_bounds__(512) nms_walk(
    SuppressionOrder<Wide> order, int chunk, Wide threshold, Wide extra, const uint64_t* bits, int* survivors) {
  __shared__ unsigned starts[2];
  __shared__ WalkState state;
  const int64_t base = static_cast<int64_t>(blockIdx.y) * order.count;
  const int tile = static_cast<int>(blockIdx.x) * 64;
  if (threadIdx.x < 64) {
    const int place = tile + static_cast<int>(threadIdx.x);
    const bool is_start =
        place < order.count && order.first[base + place] == place && order.end[base + place] > place;
    const unsigned flags = __ballot_sync(0xffffffffu, is_start);
    if (threadIdx.x % 32 == 0) {
      starts[threadIdx.x / 32] = flags;
    }
  }
  __syncthreads();
  for (int half = 0; half < 2; ++half) {
    for (unsigned rest = starts[half]; rest != 0; rest &= rest - 1) {
      const int group = tile + half * 32 + __ffs(static_cast<int>(rest)) - 1;
      walk_group(order, base, group, chunk, threshold, extra, bits, survivors + base + group, state);
    }
  }
}

/**
 * The first `most` kept candidates of each image by score: result [images, most]; valid, unless null, whether there is one, with 0
 * in the result where not; total, unless null, how many there are [images]. A block an image; grid: y is the image.
 */
GOSHAWK_KERNEL void __launch_bounds__(1024) nms_gather(
    const uint8_t* kept, const int* by_score, int count, int64_t most, int64_t* result, uint8_t* valid,
    int64_t* total) {
  __shared__ int sums[32];
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const int lane = thread % 32;
  const int64_t base = static_cast<int64_t>(blockIdx.y) * count;
  const int64_t row = static_cast<int64_t>(blockIdx.y) * most;
  int64_t found = 0;
  for (int from = 0; from < count && found < most; from += threads) {
    const int rank = from + thread;
    const bool is_kept = rank < count && kept[base + rank] != 0;
    const unsigned flags = __ballot_sync(0xffffffffu, is_kept);
    if (lane == 0) {
      sums[thread / 32] = __popc(flags);
    }
    __syncthreads();
    int before = __popc(flags & ((1u << lane) - 1));
    int all = 0;
    for (int warp = 0; warp < threads / 32; ++warp) {
      before += warp < thread / 32 ? sums[warp] : 0;
      all += sums[warp];
    }
    if (is_kept && found + before < most) {
      result[row + found + before] = by_score[base + rank];
      if (valid != nullptr) {
        valid[row + found + before] = 1;
      }
    }
    found += all;
    __syncthreads();
  }
  found = found < most ? found : most;
  for (int64_t i = found + thread; valid != nullptr && i < most; i += threads) {
    result[row + i] = 0;
    valid[row + i] = 0;
  }
  if (total != nullptr && thread == 0) {
    total[blockIdx.y] = found;
  }
}

} // namespace goshawk
