// Sums over the pixels of each channel, and the arithmetic that normalisation does with them: the inner loops of batch and
// group norm. Sums end in double precision, over parts that the shape alone decides: exact but for their last rounding, and
// the same on any number of threads. (The engine's batch norm adds floats pixel by pixel where channels
// lie side by side, which loses a digit and a half of seven over 50,000 pixels.)
#pragma once

#include <cstdint>

namespace goshawk {

/** How maps lie in memory. Values "of each channel" below are arrays of [samples][channels]. */
struct MapLayout {
  int64_t samples, channels;
  /** Of one channel of one sample. */
  int64_t pixels;
  /** [samples][pixels][channels] (channels last), else [samples][channels][pixels]. */
  bool channels_last;

  int64_t rows() const {
    return samples * channels;
  }
};

/**
 * Of each channel: first = sum of d and second = sum of d * d, with d = x - centre. The variance that follows is exact where
 * `centre` is one of the values: the square of its distance from the mean is at most the sum of squares, so of a double's 16
 * digits the difference loses no more than the number of pixels has.
 */
template <typename T>
void sum_channels(const T* x, const MapLayout& layout, const float* centre, double* first, double* second);

/** Of each channel: first = sum of gradient and second = sum of gradient * (x - centre). */
template <typename T>
void sum_gradients(
    const T* gradient, const T* x, const MapLayout& layout, const float* centre, double* first, double* second);

/** Factors and offsets of each channel. */
struct ChannelLines {
  /** What `centre` lacks of a mean far from zero belongs in `offset`: subtracting it first keeps the digits. */
  const float* centre;
  const float* slope;
  const float* offset;
};

/** out = (x - centre) * slope + offset. */
template <typename T>
void scale_channels(const T* x, const MapLayout& layout, const ChannelLines& lines, T* out);

/** out = gradient * factor - ((x - centre) * slope + offset). */
template <typename T>
void spread_gradients(
    const T* gradient, const T* x, const MapLayout& layout, const float* factor, const ChannelLines& lines, T* out);

} // namespace goshawk
