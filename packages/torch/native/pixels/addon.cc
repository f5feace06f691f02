// Entry of the pixels' addon: needs no engine, so that the loader's threads load it in a millisecond. A call gives arrays and
// numbers; what does not fit together is a RangeError, and nothing is written.
#include <node_api.h>

#include <cstring>
#include <stdexcept>

#include "library-ahead.h"
#include "picture.h"
#include "resize-bytes.h"

namespace goshawk::pixels {

namespace {

constexpr size_t kMostArguments = 6;

template <typename Value>
struct View {
  Value* data;
  size_t length;
};

class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMostArguments;
    napi_get_cb_info(env, info, &count, arguments_, nullptr, nullptr);
  }

  View<uint8_t> bytes(size_t index) const { return view<uint8_t>(index, napi_uint8_array); }
  View<float> floats(size_t index) const { return view<float>(index, napi_float32_array); }
  // Exactly so many numbers.
  const double* numbers(size_t index, size_t count) const {
    const View<double> found = view<double>(index, napi_float64_array);
    require(found.length == count, "another count of numbers");
    return found.data;
  }
  napi_env env() const { return env_; }

  static void require(bool holds, const char* otherwise) {
    if (!holds) throw std::range_error(otherwise);
  }

 private:
  template <typename Value>
  View<Value> view(size_t index, napi_typedarray_type wanted) const {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    const napi_status status =
        napi_get_typedarray_info(env_, arguments_[index], &type, &length, &data, nullptr, nullptr);
    require(status == napi_ok && type == wanted, "another type of array");
    return {static_cast<Value*>(data), length};
  }

  napi_env env_;
  napi_value arguments_[kMostArguments];
};

int64_t whole(double value) {
  Call::require(value >= 0 && value <= 1e9 && value == std::floor(value), "no whole number");
  return static_cast<int64_t>(value);
}

Picture pictureOf(const View<uint8_t>& bytes, double width, double height) {
  const Picture picture{bytes.data, whole(width), whole(height)};
  Call::require(picture.width > 0 && picture.height > 0 && picture.bytes() <= static_cast<int64_t>(bytes.length),
                "fewer bytes than a picture of that size has");
  return picture;
}

uint8_t* roomFor(const View<uint8_t>& into, int64_t bytes) {
  Call::require(bytes <= static_cast<int64_t>(into.length), "too little room for the result");
  return into.data;
}

Window windowOf(const double* numbers, int64_t width, int64_t height) {
  const Window window{whole(numbers[0]), whole(numbers[1]), whole(numbers[2]), whole(numbers[3])};
  Call::require(window.width > 0 && window.height > 0 && window.x + window.width <= width &&
                    window.y + window.height <= height,
                "a window beyond the picture");
  return window;
}

enum ResizeKind { kTorch, kOpenCv, kPil };

// resizeInto(picture, [width, height, kind, new width, new height, step x, step y, window x, y, width, height, gain 3, bias 3, reversed,
// offset, stride], floats)
void resizeInto(const Call& call) {
  const double* const n = call.numbers(1, 20);
  const Picture from = pictureOf(call.bytes(0), n[0], n[1]);
  const int64_t width = whole(n[3]), height = whole(n[4]);
  Call::require(width > 0 && height > 0, "a size of no pixels");
  const Window window = windowOf(n + 7, width, height);
  const Normalisation values{{n[11], n[12], n[13]}, {n[14], n[15], n[16]}, n[17] != 0};
  const View<float> memory = call.floats(2);
  const int64_t offset = whole(n[18]);
  const FloatRows into{memory.data + offset, whole(n[19])};
  Call::require(into.stride >= window.width * 3 &&
                    offset + (window.height - 1) * into.stride + window.width * 3 <=
                        static_cast<int64_t>(memory.length),
                "too little room for the result");
  const auto emit = [&](int64_t y, const uint8_t* row) {
    normaliseRow(row, window.width, values, into.data + y * into.stride);
  };
  switch (static_cast<int>(n[2])) {
    case kTorch:
      resizeTorch(from, n[5], n[6], window, values, into);
      break;
    case kOpenCv:
      resizeOpenCv(from, width, height, window, emit);
      break;
    default:
      resizePil(from, width, height, window, emit);
  }
}

// resizeBytes(picture, [width, height, kind, new width, new height], bytes)
void resizeBytes(const Call& call) {
  const double* const n = call.numbers(1, 5);
  const Picture from = pictureOf(call.bytes(0), n[0], n[1]);
  const int64_t width = whole(n[3]), height = whole(n[4]);
  Call::require(width > 0 && height > 0, "a size of no pixels");
  uint8_t* const into = roomFor(call.bytes(2), width * height * 3);
  const auto emit = [&](int64_t y, const uint8_t* row) { std::memcpy(into + y * width * 3, row, width * 3); };
  const Window window{0, 0, width, height};
  if (static_cast<int>(n[2]) == kOpenCv)
    resizeOpenCv(from, width, height, window, emit);
  else
    resizePil(from, width, height, window, emit);
}

// warp(picture, [width, height, new width, new height, inverse 9, fill 3], bytes)
void warpPicture(const Call& call) {
  const double* const n = call.numbers(1, 16);
  const Picture from = pictureOf(call.bytes(0), n[0], n[1]);
  const int64_t width = whole(n[2]), height = whole(n[3]);
  Call::require(std::max({from.width, from.height, width, height}) <= kMostSide, "a picture of more than 32767 pixels a side");
  uint8_t fill[3];
  for (int c = 0; c < 3; c++) fill[c] = static_cast<uint8_t>(n[13 + c]);
  warp(from, n + 4, fill, roomFor(call.bytes(2), width * height * 3), width, height);
}

enum ColorKind { kHsv, kBrightness, kContrast, kSaturation, kGaussian, kBox, kMedian };

// changeColors(picture, [width, height, kind, three numbers], bytes)
void changeColors(const Call& call) {
  const double* const n = call.numbers(1, 6);
  const Picture from = pictureOf(call.bytes(0), n[0], n[1]);
  uint8_t* const into = roomFor(call.bytes(2), from.bytes());
  const int kind = static_cast<int>(n[2]);
  const int side = static_cast<int>(n[3]);
  if (kind >= kGaussian) Call::require((side == 3 || side == 5) && into != from.data, "a blur in place, or of another side");
  switch (kind) {
    case kHsv:
      return scaleHsv(from, n[3], n[4], n[5], into);
    case kBrightness:
      return changeBrightness(from, n[3], into);
    case kContrast:
      return changeContrast(from, n[3], into);
    case kSaturation:
      return changeSaturation(from, n[3], into);
    case kGaussian:
      return blurGaussian(from, side, into);
    case kBox:
      return blurBox(from, side, into);
    default:
      return blurMedian(from, side, into);
  }
}

// addNoise(picture, [width, height, sigma, seed], bytes, quantiles)
void addNoiseTo(const Call& call) {
  const double* const n = call.numbers(1, 4);
  const Picture from = pictureOf(call.bytes(0), n[0], n[1]);
  const View<float> quantiles = call.floats(3);
  Call::require(quantiles.length == 65536, "another count of quantiles");
  const int32_t seed = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(n[3])));
  addNoise(from, n[2], seed, quantiles.data, roomFor(call.bytes(2), from.bytes()));
}

// blend(first, [share], second, bytes)
void blendPictures(const Call& call) {
  const View<uint8_t> first = call.bytes(0), second = call.bytes(2);
  Call::require(first.length == second.length, "two sizes");
  const int64_t bytes = static_cast<int64_t>(first.length);
  blend(first.data, second.data, bytes, call.numbers(1, 1)[0], roomFor(call.bytes(3), bytes));
}

// mirrorRows(picture, [width, height])
void mirrorInPlace(const Call& call) {
  const double* const n = call.numbers(1, 2);
  const View<uint8_t> bytes = call.bytes(0);
  const Picture picture = pictureOf(bytes, n[0], n[1]);
  mirrorRows(bytes.data, picture.width, picture.height);
}

// openLibrary(path and a zero)
void beginLibrary(const Call& call) {
  const View<uint8_t> path = call.bytes(0);
  Call::require(path.length > 0 && path.data[path.length - 1] == 0, "no path that ends in a zero");
  openLibrary(reinterpret_cast<const char*>(path.data));
}

// awaitLibrary()
void endLibrary(const Call&) { awaitLibrary(); }

template <void (*kFunction)(const Call&)>
napi_value enter(napi_env env, napi_callback_info info) {
  try {
    kFunction(Call(env, info));
  } catch (const std::exception& error) {
    napi_throw_range_error(env, nullptr, error.what());
  }
  return nullptr;
}

// jpegDamage(bytes): the words, or undefined
napi_value damageOfJpeg(napi_env env, napi_callback_info info) {
  try {
    const View<uint8_t> bytes = Call(env, info).bytes(0);
    char said[64];
    const char* const damage = jpegDamage(bytes.data, bytes.length, said);
    if (damage == nullptr) return nullptr;
    napi_value text;
    napi_create_string_utf8(env, damage, NAPI_AUTO_LENGTH, &text);
    return text;
  } catch (const std::exception& error) {
    napi_throw_range_error(env, nullptr, error.what());
    return nullptr;
  }
}

}  // namespace

}  // namespace goshawk::pixels

NAPI_MODULE_INIT() {
  using namespace goshawk::pixels;
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"resizeInto", enter<resizeInto>},     {"resizeBytes", enter<resizeBytes>}, {"warp", enter<warpPicture>},
      {"changeColors", enter<changeColors>}, {"addNoise", enter<addNoiseTo>},     {"blend", enter<blendPictures>},
      {"mirrorRows", enter<mirrorInPlace>},  {"jpegDamage", damageOfJpeg},
      {"openLibrary", enter<beginLibrary>},  {"awaitLibrary", enter<endLibrary>},
  };
  for (const auto& [name, function] : functions) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  }
  return exports;
}
