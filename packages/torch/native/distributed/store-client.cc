#include "store-client.h"

#include <algorithm>
#include <thread>

#include "group-error.h"
#include "store-messages.h"

namespace goshawk {

namespace {

// For an answer itself, where there is so much time: a store that is silent must not outlast the patience of who asks.
constexpr std::chrono::milliseconds kLeastForAnswer{2000};
constexpr std::chrono::milliseconds kMostForAnswer{30000};
constexpr std::chrono::milliseconds kBetweenGreetings{200};
// For the answer itself after a failure.
constexpr std::chrono::seconds kForLastAnswers{5};
// Of requests that wait for nothing: a process that is stopped answers none.
constexpr std::chrono::milliseconds kAtOnce{0};

MessageWriter request(Request kind) {
  MessageWriter writer;
  writer.byte(static_cast<uint8_t>(kind));
  return writer;
}

MessageReader reader(const Bytes& bytes) { return MessageReader(bytes.data(), bytes.size()); }

std::vector<int64_t> readRanks(MessageReader message) {
  std::vector<int64_t> ranks(static_cast<size_t>(message.number()));
  for (int64_t& rank : ranks) rank = message.number();
  return ranks;
}

}  // namespace

RanksGoneError::RanksGoneError(std::vector<int64_t> gone)
    : ConnectionError(rankNames(gone) + " ended before the others"), ranks(std::move(gone)) {}

StoreClient::StoreClient(
    StorePlace place, int64_t rank, const Introduction& introduction, std::chrono::milliseconds timeout)
    : c10d::Store(timeout),
      place_(std::move(place)),
      forAnswer_(std::clamp(timeout, kLeastForAnswer, kMostForAnswer)) {
  const auto& [size, kind, own] = introduction;
  greet(
      request(Request::Hello).text(std::string(kGreeting)).number(rank).number(size).text(kind).text(own),
      Clock::now() + timeout);
}

void StoreClient::greet(const MessageWriter& hello, Deadline deadline) {
  for (;;) {
    socket_ = connectTo(place_.host, place_.port, deadline);
    broken_ = false;
    try {
      ask(hello, kAtOnce);
      return;
    } catch (const ClosedError&) {
      // Before a machine proxies may listen, which know only now that nobody does behind them yet.
      if (Clock::now() < deadline) {
        std::this_thread::sleep_for(kBetweenGreetings);
        continue;
      }
    } catch (const ConnectionError&) {
    }
    throw ConnectionError("who listens on " + goshawk::place(place_.host, place_.port) +
                          " is no store of this program's (or of another version of it)");
  }
}

Bytes StoreClient::ask(const MessageWriter& writer, std::chrono::milliseconds patience) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Deadline deadline = Clock::now() + patience + forAnswer_;
  if (broken_) throw ConnectionError("the store at " + goshawk::place(place_.host, place_.port) + " does not answer");
  Bytes message;
  try {
    sendAll(socket_, writer.message(), deadline);
    const uint32_t length = messageLength(receiveAll(socket_, 4, deadline).data());
    if (length == 0 || length > kLongestMessage) throw ConnectionError("it speaks otherwise");
    message = receiveAll(socket_, length, deadline);
  } catch (const ClosedError& error) {
    broken_ = true;
    throw ClosedError("the store at " + goshawk::place(place_.host, place_.port) + ": " + error.what());
  } catch (const ConnectionError& error) {
    broken_ = true;
    throw ConnectionError("the store at " + goshawk::place(place_.host, place_.port) + ": " + error.what());
  }
  const Bytes fields(message.begin() + 1, message.end());
  switch (static_cast<Answer>(message[0])) {
    case Answer::Late:
      throw LateError(reader(fields).text());
    case Answer::Gone:
      throw RanksGoneError(readRanks(reader(fields)));
    case Answer::Refused:
      throw RefusedError(reader(fields).text());
    default:
      return fields;
  }
}

void StoreClient::set(const std::string& key, const Bytes& value) {
  ask(request(Request::Set).text(key).text(value), kAtOnce);
}

Bytes StoreClient::compareSet(const std::string& key, const Bytes& expected, const Bytes& desired) {
  return reader(ask(request(Request::CompareSet).text(key).text(expected).text(desired), kAtOnce)).bytes();
}

Bytes StoreClient::get(const std::string& key, std::chrono::milliseconds timeout) {
  return reader(ask(request(Request::Get).text(key).number(timeout.count()), timeout)).bytes();
}

int64_t StoreClient::add(const std::string& key, int64_t amount) {
  return reader(ask(request(Request::Add).text(key).number(amount), kAtOnce)).number();
}

bool StoreClient::deleteKey(const std::string& key) {
  return reader(ask(request(Request::Delete).text(key), kAtOnce)).number() != 0;
}

bool StoreClient::check(const std::vector<std::string>& keys) {
  MessageWriter writer = request(Request::Check).number(static_cast<int64_t>(keys.size()));
  for (const std::string& key : keys) writer.text(key);
  return reader(ask(writer, kAtOnce)).number() != 0;
}

int64_t StoreClient::getNumKeys() { return reader(ask(request(Request::Count), kAtOnce)).number(); }

void StoreClient::wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) {
  MessageWriter writer = request(Request::Wait).number(timeout.count()).number(static_cast<int64_t>(keys.size()));
  for (const std::string& key : keys) writer.text(key);
  ask(writer, timeout);
}

c10::intrusive_ptr<c10d::Store> StoreClient::clone() { return c10::make_intrusive<StoreClient>(place_, -1, Introduction(), timeout_); }

std::vector<int64_t> StoreClient::gone() { return readRanks(reader(ask(request(Request::Gone), kAtOnce))); }

void StoreClient::refuse(const std::string& why) { ask(request(Request::Refuse).text(why), kAtOnce); }

void StoreClient::hurry() { forAnswer_ = kForLastAnswers; }

void StoreClient::goodbye() { ask(request(Request::Goodbye), kAtOnce); }

}  // namespace goshawk
