// How the two ends of the store speak: a message is its length (4 bytes, little endian), then its fields one after another.
#pragma once
#include <cstring>
#include <string>

#include "sockets.h"

namespace goshawk {

// The first field of a request.
enum class Request : uint8_t {
  Hello,       // greeting, rank (-1: a further connection of a rank that said hello before), size, kind, place
  Set,         // key, value
  CompareSet,  // key, expected, desired -> value that stands then
  Get,         // key, milliseconds -> value
  Wait,        // milliseconds, number of keys, keys
  Check,       // number of keys, keys -> 1 where all stand
  Add,         // key, amount -> the sum
  Delete,      // key -> 1 where it stood
  Count,       // -> number of keys
  Gone,        // -> number of ranks, ranks that went without a goodbye
  Refuse,      // why the processes cannot come together
  Goodbye,
};

// The first field of an answer.
enum class Answer : uint8_t {
  Done,
  // Get and Wait: the first key that is missing.
  Late,
  // Get and Wait, as soon as somebody who might have set the key went without a goodbye: number of ranks, ranks.
  Gone,
  // Hello of a process that does not fit the others, and Get and Wait where they cannot come together: why.
  Refused,
};

// Who does not begin with it is not one of us.
constexpr char kGreeting[] = "goshawk store 2";
constexpr uint32_t kLongestMessage = 64 << 20;

class MessageWriter {
 public:
  MessageWriter& byte(uint8_t value) {
    bytes_.push_back(value);
    return *this;
  }
  MessageWriter& number(int64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<uint8_t>(value >> shift));
    return *this;
  }
  template <typename Text>
  MessageWriter& text(const Text& value) {
    number(static_cast<int64_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  // With its length in front.
  Bytes message() const {
    if (bytes_.size() > kLongestMessage) throw std::invalid_argument("the value is too long for the store (64 MiB)");
    const uint32_t length = static_cast<uint32_t>(bytes_.size());
    Bytes whole;
    whole.reserve(bytes_.size() + 4);
    for (int shift = 0; shift < 32; shift += 8) whole.push_back(static_cast<uint8_t>(length >> shift));
    whole.insert(whole.end(), bytes_.begin(), bytes_.end());
    return whole;
  }

 private:
  Bytes bytes_;
};

inline uint32_t messageLength(const uint8_t* head) {
  return static_cast<uint32_t>(head[0]) | static_cast<uint32_t>(head[1]) << 8 | static_cast<uint32_t>(head[2]) << 16 |
         static_cast<uint32_t>(head[3]) << 24;
}

// Throws where a message ends too early.
class MessageReader {
 public:
  MessageReader(const uint8_t* data, size_t length) : data_(data), left_(length) {}

  uint8_t byte() { return *take(1); }
  int64_t number() {
    const uint8_t* from = take(8);
    uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | from[i];
    return static_cast<int64_t>(value);
  }
  Bytes bytes() {
    const size_t length = size();
    const uint8_t* from = take(length);
    return Bytes(from, from + length);
  }
  std::string text() {
    const size_t length = size();
    const uint8_t* from = take(length);
    return std::string(reinterpret_cast<const char*>(from), length);
  }

 private:
  size_t size() {
    const int64_t length = number();
    if (length < 0 || static_cast<uint64_t>(length) > left_) throw std::invalid_argument("a message is cut off");
    return static_cast<size_t>(length);
  }
  const uint8_t* take(size_t length) {
    if (length > left_) throw std::invalid_argument("a message is cut off");
    const uint8_t* from = data_;
    data_ += length;
    left_ -= length;
    return from;
  }

  const uint8_t* data_;
  size_t left_;
};

}  // namespace goshawk
