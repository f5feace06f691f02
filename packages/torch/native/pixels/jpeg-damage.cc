// Whether the compressed data of a JPEG is whole: goshawk's data/jpeg-damage.ts, which says what is looked at and why, with its words.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "picture.h"

namespace goshawk::pixels {

namespace {

constexpr int64_t kMostStrayBytes = 16;
constexpr int kLongZeros = 32;

// By the next bits of data: the code's length in the upper byte, 0 for none, and its symbol in the lower one.
struct HuffmanCodes {
  // By 10 bits, which fits into the processor's first cache; 0 also for longer codes.
  std::array<uint16_t, 1024> quick{};
  // Codes of a length end before this, in 16 bits; their symbols begin at `symbols[place + code]`.
  std::array<uint32_t, 18> ends{};
  std::array<int32_t, 17> places{};
  std::vector<uint8_t> symbols;

  // The entry of 16 bits, 0 where they begin with no code.
  uint16_t find(uint32_t bits) const {
    for (uint32_t length = 1; length <= 16; length++) {
      if (bits >= ends[length]) continue;
      const int32_t place = places[length] + static_cast<int32_t>(bits >> (16 - length));
      return static_cast<uint16_t>(length << 8 | symbols[static_cast<size_t>(place)]);
    }
    return 0;
  }
};

struct JpegComponent {
  int id, h, v;
};

struct JpegFrame {
  int64_t width, height;
  std::vector<JpegComponent> components;
};

struct JpegBlock {
  const HuffmanCodes* dc;
  const HuffmanCodes* ac;
};

struct JpegScan {
  int64_t units;
  std::vector<JpegBlock> blocks;
};

// Bytes of a segment, 0 or -1 behind its end as the reader wants.
struct Body {
  const uint8_t* data;
  size_t length;

  int at(size_t place, int otherwise) const { return place < length ? data[place] : otherwise; }
};

using Tables = std::array<std::shared_ptr<const HuffmanCodes>, 16>;

std::optional<JpegFrame> readFrame(const Body& body) {
  JpegFrame frame{body.at(3, 0) << 8 | body.at(4, 0), body.at(1, 0) << 8 | body.at(2, 0), {}};
  const int count = body.at(5, 0);
  bool usable = count > 0;
  for (int i = 0; i < count; i++) {
    const int sampling = body.at(7 + 3 * i, 0);
    const JpegComponent component{body.at(6 + 3 * i, -1), sampling >> 4, sampling & 15};
    usable = usable && component.h >= 1 && component.h <= 4 && component.v >= 1 && component.v <= 4;
    frame.components.push_back(component);
  }
  if (!usable || frame.width <= 0 || frame.height <= 0) return std::nullopt;
  return frame;
}

std::shared_ptr<const HuffmanCodes> codesOf(const uint8_t* lengths, const uint8_t* symbols, size_t count) {
  auto table = std::make_shared<HuffmanCodes>();
  table->symbols.assign(symbols, symbols + count);
  uint32_t code = 0;
  int32_t symbol = 0;
  for (uint32_t length = 1; length <= 16; length++) {
    table->places[length] = symbol - static_cast<int32_t>(code);
    for (int i = 0; i < lengths[length - 1]; i++, symbol++, code++) {
      if (code >= 1u << length) return nullptr;
      if (length > 10) continue;
      const uint16_t entry = static_cast<uint16_t>(length << 8 | table->symbols[static_cast<size_t>(symbol)]);
      std::fill_n(table->quick.begin() + (code << (10 - length)), 1u << (10 - length), entry);
    }
    table->ends[length] = code << (16 - length);
    code <<= 1;
  }
  return table;
}

// False where they are no prefix code.
bool readTables(const Body& body, Tables& dc, Tables& ac) {
  size_t pos = 0;
  while (pos + 17 <= body.length) {
    const int target = body.data[pos];
    const uint8_t* const lengths = body.data + pos + 1;
    size_t count = 0;
    for (int i = 0; i < 16; i++) count += lengths[i];
    if (pos + 17 + count > body.length) return false;
    auto table = codesOf(lengths, body.data + pos + 17, count);
    if (table == nullptr) return false;
    (target >> 4 == 0 ? dc : ac)[target & 15] = std::move(table);
    pos += 17 + count;
  }
  return true;
}

int64_t ceilOf(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::optional<JpegScan> readScan(const Body& body, const JpegFrame& frame, const Tables& dcTables, const Tables& acTables) {
  const int count = body.at(0, 0);
  JpegScan scan{0, {}};
  const JpegComponent* only = nullptr;
  for (int i = 0; i < count; i++) {
    const int id = body.at(1 + 2 * i, -2);
    const int tables = body.at(2 + 2 * i, 0);
    const auto component = std::find_if(frame.components.begin(), frame.components.end(),
                                        [id](const JpegComponent& one) { return one.id == id; });
    const HuffmanCodes* const dc = dcTables[tables >> 4].get();
    const HuffmanCodes* const ac = acTables[tables & 15].get();
    if (component == frame.components.end() || dc == nullptr || ac == nullptr) return std::nullopt;
    only = &*component;
    const int blocks = count == 1 ? 1 : component->h * component->v;
    for (int b = 0; b < blocks; b++) scan.blocks.push_back({dc, ac});
  }
  if (count == 0) return std::nullopt;
  int hMax = 0, vMax = 0;
  for (const JpegComponent& one : frame.components) hMax = std::max(hMax, one.h), vMax = std::max(vMax, one.v);
  if (count == 1)
    // A scan of one component has no padding blocks (T.81, A.2.2).
    scan.units = ceilOf(ceilOf(frame.width * only->h, hMax), 8) * ceilOf(ceilOf(frame.height * only->v, vMax), 8);
  else
    scan.units = ceilOf(frame.width, 8 * hMax) * ceilOf(frame.height, 8 * vMax);
  return scan;
}

// The data of a scan, read in bits.
class Bits {
 public:
  Bits(const uint8_t* bytes, size_t length, size_t pos) : bytes_(bytes), length_(length), pos_(pos) {}

  // At least 32 bits are there after it, though the last may be made up.
  void fill() {
    if (count_ >= 32) return;
    if (pos_ + 4 <= length_) {
      uint32_t word;
      std::memcpy(&word, bytes_ + pos_, 4);
      // No byte is 0xff: none of them begins a marker or has a zero stuffed behind it.
      const uint32_t inverted = ~word;
      if (((inverted - 0x01010101u) & ~inverted & 0x80808080u) == 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap32(word);
#endif
        bits_ = bits_ << 32 | word;
        count_ += 32;
        pos_ += 4;
        return;
      }
    }
    while (count_ < 32) {
      const int byte = pos_ < length_ ? bytes_[pos_] : 0xff;
      bits_ <<= 8;
      count_ += 8;
      if (byte != 0xff) {
        bits_ |= static_cast<uint64_t>(byte);
        pos_++;
      } else if (pos_ + 1 < length_ && bytes_[pos_ + 1] == 0) {
        bits_ |= 0xff;
        pos_ += 2;
      } else {
        missing_ += 8;
      }
    }
  }
  uint32_t peek(int bits) const { return static_cast<uint32_t>(bits_ >> (count_ - bits)) & ((1u << bits) - 1); }
  void drop(int bits) { count_ -= bits; }
  // Whether bits have been used that had to be made up, since a marker came first.
  bool isBeyondEnd() const { return missing_ > count_; }
  // Of the first byte of which no bit has been used.
  size_t position() const {
    size_t pos = pos_;
    for (int64_t unread = (count_ - missing_) / 8; unread > 0; unread--)
      pos -= pos >= 2 && bytes_[pos - 1] == 0 && bytes_[pos - 2] == 0xff ? 2 : 1;
    return pos;
  }

 private:
  const uint8_t* bytes_;
  size_t length_;
  size_t pos_;
  uint64_t bits_ = 0;
  int64_t count_ = 0;
  int64_t missing_ = 0;
};

const char* walkBlocks(Bits& given, const std::vector<JpegBlock>& blocks, int64_t units) {
  Bits bits = given;
  for (int64_t unit = 0; unit < units; unit++) {
    for (const JpegBlock& block : blocks) {
      const HuffmanCodes* codes = block.dc;
      for (int k = 0; k < 64; k++) {
        bits.fill();
        int entry = codes->quick[bits.peek(10)];
        if (entry == 0) entry = codes->find(bits.peek(16));
        if (entry == 0) return "a code that does not exist";
        int size = entry & 0xff;
        if (k > 0) {
          const int run = size >> 4;
          size &= 15;
          if (size == 0 && run != 15) {
            bits.drop(entry >> 8);
            break;
          }
          k += run;
          if (k > 63) return "a block of more than 64 coefficients";
        } else {
          if (size > 15) return "a code that does not exist";
          codes = block.ac;
        }
        bits.drop((entry >> 8) + size);
      }
      if (bits.isBeyondEnd()) return "its data ends too early";
    }
  }
  given = bits;
  return nullptr;
}

// Whether a block of one grey level is zeros alone under these tables: a run of them is then a flat picture.
bool isFlatInZeros(const JpegBlock& block) {
  return (block.dc->find(0) & 0xff) == 0 && (block.ac->find(0) & 0xff) == 0;
}

bool hasLongZeros(const uint8_t* from, const uint8_t* to) {
  int run = 0;
  for (const uint8_t* p = from; p < to; p++) {
    run = *p == 0 ? run + 1 : 0;
    if (run == kLongZeros) return true;
  }
  return false;
}

}  // namespace

const char* jpegDamage(const uint8_t* bytes, size_t length, char (&said)[64]) {
  Tables dc, ac;
  std::optional<JpegFrame> frame;
  int64_t restartInterval = 0;
  size_t pos = 2;
  const auto byte = [&](size_t place) { return place < length ? int{bytes[place]} : -1; };
  while (pos + 2 <= length) {
    if (bytes[pos] != 0xff) return nullptr;
    const int marker = bytes[pos + 1];
    if (marker == 0xff) {
      pos++;
      continue;
    }
    if (marker == 0xd9) return nullptr;
    if (pos + 4 > length) break;
    const size_t segment = static_cast<size_t>(bytes[pos + 2] << 8 | bytes[pos + 3]);
    const size_t end = pos + 2 + segment;
    if (segment < 2 || end > length) return "a header is cut short";
    const Body body{bytes + pos + 4, segment - 2};
    if (marker == 0xc0 || marker == 0xc1) {
      frame = readFrame(body);
      if (!frame) return nullptr;
    } else if (marker >= 0xc2 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      return nullptr;
    } else if (marker == 0xc4) {
      if (!readTables(body, dc, ac)) return "a Huffman table is wrong";
    } else if (marker == 0xdd && body.length >= 2) {
      restartInterval = body.data[0] << 8 | body.data[1];
    }
    pos = end;
    if (marker != 0xda) continue;
    if (!frame) return nullptr;
    const auto scan = readScan(body, *frame, dc, ac);
    if (!scan) return nullptr;
    const bool isFlat = std::all_of(scan->blocks.begin(), scan->blocks.end(), isFlatInZeros);
    const int64_t interval = restartInterval > 0 ? restartInterval : scan->units;
    int restarts = 0;
    for (int64_t done = 0; done < scan->units; done += interval) {
      if (done > 0) {
        if (byte(pos + 1) != 0xd0 + (restarts & 7)) return "a restart marker is missing";
        restarts++;
        pos += 2;
      }
      Bits bits(bytes, length, pos);
      if (const char* problem = walkBlocks(bits, scan->blocks, std::min(interval, scan->units - done))) return problem;
      const size_t read = bits.position();
      if (!isFlat && hasLongZeros(bytes + pos, bytes + read)) return "a part of its data is zeros";
      size_t at = read;
      while (at < length && !(bytes[at] == 0xff && byte(at + 1) != 0 && byte(at + 1) != 0xff)) at++;
      if (at + 1 >= length) return "the end is missing";
      const int64_t stray = static_cast<int64_t>(at - read);
      if (stray > kMostStrayBytes) {
        std::snprintf(said, sizeof(said), "%lld bytes of data are left over", static_cast<long long>(stray));
        return said;
      }
      pos = at;
    }
  }
  return "the end is missing";
}

}  // namespace goshawk::pixels
