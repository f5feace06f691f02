#include "store-server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store-messages.h"

namespace goshawk {

namespace {

constexpr std::chrono::seconds kForLeaving{2};
constexpr int64_t kMostKeysInMessage = 1 << 16;

std::vector<std::string> readKeys(MessageReader& message) {
  const int64_t count = message.number();
  if (count < 0 || count > kMostKeysInMessage) throw std::invalid_argument("a message with too many keys");
  std::vector<std::string> keys(static_cast<size_t>(count));
  for (std::string& key : keys) key = message.text();
  return keys;
}

MessageWriter done() {
  MessageWriter writer;
  writer.byte(static_cast<uint8_t>(Answer::Done));
  return writer;
}

MessageWriter refused(const std::string& why) {
  MessageWriter writer;
  writer.byte(static_cast<uint8_t>(Answer::Refused)).text(why);
  return writer;
}

// A counter is kept in digits, as the engine's stores do: who gets it reads them.
int64_t counted(const Bytes& value) { return std::stoll(std::string(value.begin(), value.end())); }

}  // namespace

StoreServer::StoreServer(const std::string& host, uint16_t port)
    : listener_(listenOn(host, port)), port_(portOf(listener_)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw ConnectionError("no pipe for the store's thread");
  wakeReading_ = Socket(ends[0]);
  wakeWriting_ = Socket(ends[1]);
  thread_ = std::thread([this] { run(); });
}

StoreServer::~StoreServer() {
  ending_ = true;
  const char byte = 0;
  (void)!::write(wakeWriting_.get(), &byte, 1);
  thread_.join();
}

void StoreServer::run() {
  Deadline end = Deadline::max();
  for (;;) {
    if (ending_ && end == Deadline::max()) end = Clock::now() + kForLeaving;
    if (ending_ && (clients_.empty() || Clock::now() >= end)) return;
    std::vector<pollfd> entries{{wakeReading_.get(), static_cast<short>(ending_ ? 0 : POLLIN), 0},
                                {listener_.get(), POLLIN, 0}};
    for (const Client& client : clients_)
      entries.push_back({client.socket.get(), static_cast<short>(client.outgoing.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    Deadline next = end;
    for (const Pending& pending : pending_) next = std::min(next, pending.deadline);
    const int count = poll(entries.data(), entries.size(), next == Deadline::max() ? -1 : untilDeadline(next));
    if (count < 0 && errno != EINTR) return;
    size_t index = 2;
    for (auto client = clients_.begin(); client != clients_.end() && count > 0;) {
      const short events = entries[index++].revents;
      const auto current = client++;
      bool stays = true;
      if (events & (POLLIN | POLLHUP | POLLERR)) stays = receive(*current);
      if (stays && (events & POLLOUT)) stays = flush(*current);
      if (!stays) drop(current);
    }
    if (count > 0 && (entries[1].revents & POLLIN)) accept();
    answerPending();
  }
}

void StoreServer::accept() {
  for (;;) {
    Socket socket = acceptFrom(listener_);
    if (socket.get() < 0) {
      // Without a descriptor to spare the connection stays in the system's queue: not to be asked about without a pause.
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return;
    }
    clients_.emplace_back();
    clients_.back().socket = std::move(socket);
  }
}

bool StoreServer::receive(Client& client) {
  uint8_t buffer[65536];
  for (;;) {
    const ssize_t count = ::recv(client.socket.get(), buffer, sizeof buffer, 0);
    if (count == 0) return false;
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      break;
    }
    client.incoming.insert(client.incoming.end(), buffer, buffer + count);
    if (client.incoming.size() > kLongestMessage + sizeof buffer) return false;
    if (count < static_cast<ssize_t>(sizeof buffer)) break;
  }
  size_t at = 0;
  try {
    while (client.incoming.size() - at >= 4) {
      const uint32_t length = messageLength(client.incoming.data() + at);
      if (length > kLongestMessage) return false;
      if (client.incoming.size() - at - 4 < length) break;
      handle(client, MessageReader(client.incoming.data() + at + 4, length));
      at += 4 + length;
    }
  } catch (const std::exception&) {
    return false;  // not one of us
  }
  client.incoming.erase(client.incoming.begin(), client.incoming.begin() + static_cast<ptrdiff_t>(at));
  return flush(client);
}

bool StoreServer::flush(Client& client) {
  size_t sent = 0;
  while (sent < client.outgoing.size()) {
    const ssize_t count = sendSome(client.socket, client.outgoing.data() + sent, client.outgoing.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) return false;
    if (count < 0) break;
    sent += static_cast<size_t>(count);
  }
  client.outgoing.erase(client.outgoing.begin(), client.outgoing.begin() + static_cast<ptrdiff_t>(sent));
  return true;
}

void StoreServer::answer(Client& client, const MessageWriter& writer) {
  const Bytes message = writer.message();
  client.outgoing.insert(client.outgoing.end(), message.begin(), message.end());
}

void StoreServer::handle(Client& client, MessageReader message) {
  const auto request = static_cast<Request>(message.byte());
  if (!client.greeted) {
    if (request != Request::Hello || message.text() != kGreeting) throw std::invalid_argument("no greeting");
    return greet(client, message);
  }
  switch (request) {
    case Request::Set: {
      const std::string key = message.text();
      values_[key] = message.bytes();
      return answer(client, done());
    }
    case Request::CompareSet: {
      const std::string key = message.text();
      const Bytes expected = message.bytes();
      const Bytes desired = message.bytes();
      const auto found = values_.find(key);
      const bool matches = found == values_.end() ? expected.empty() : found->second == expected;
      if (matches) values_[key] = desired;
      return answer(client, done().text(matches ? desired : found == values_.end() ? expected : found->second));
    }
    case Request::Get: {
      std::vector<std::string> keys{message.text()};
      return handleWait(client, std::move(keys), message.number(), true);
    }
    case Request::Wait: {
      const int64_t milliseconds = message.number();
      return handleWait(client, readKeys(message), milliseconds, false);
    }
    case Request::Check:
      return answer(client, done().number(firstMissing(readKeys(message)) == nullptr));
    case Request::Add: {
      const std::string key = message.text();
      const auto found = values_.find(key);
      const int64_t sum = (found == values_.end() ? 0 : counted(found->second)) + message.number();
      const std::string digits = std::to_string(sum);
      values_[key] = Bytes(digits.begin(), digits.end());
      return answer(client, done().number(sum));
    }
    case Request::Delete:
      return answer(client, done().number(static_cast<int64_t>(values_.erase(message.text()))));
    case Request::Count:
      return answer(client, done().number(static_cast<int64_t>(values_.size())));
    case Request::Gone: {
      MessageWriter writer = done();
      writer.number(static_cast<int64_t>(gone_.size()));
      for (const int64_t rank : gone_) writer.number(rank);
      return answer(client, writer);
    }
    case Request::Refuse:
      refusal_ = message.text();
      // Who says so may end at once, and the store with it.
      answerPending();
      return answer(client, done());
    case Request::Goodbye:
      members_.erase(client.rank);
      client.rank = -1;
      return answer(client, done());
    case Request::Hello:
      break;
  }
  throw std::invalid_argument("no such request");
}

void StoreServer::greet(Client& client, MessageReader& message) {
  client.greeted = true;
  const int64_t rank = message.number();
  const int64_t size = message.number();
  Member newcomer{message.text(), message.text()};
  if (rank < 0) return answer(client, done());
  const std::string objection = objectionTo(rank, newcomer);
  if (objection.empty()) {
    client.rank = rank;
    members_[rank] = std::move(newcomer);
    isComplete_ = isComplete_ || static_cast<int64_t>(members_.size()) == size;
    return answer(client, done());
  }
  // Those who still wait would wait in vain; a run that is under way goes on.
  if (!isComplete_) refusal_ = objection;
  answer(client, refused(objection));
}

std::string StoreServer::objectionTo(int64_t rank, const Member& newcomer) const {
  const std::string name = "rank " + std::to_string(rank);
  if (const auto same = members_.find(rank); same != members_.end() && same->second.kind == newcomer.kind)
    return name + " is there twice, as " + same->second.place + " and as " + newcomer.place +
           ": give every process a number of its own";
  for (const auto& [other, member] : members_)
    if (member.kind != newcomer.kind)
      return name + " (" + newcomer.place + ") is one of " + newcomer.kind + ", rank " + std::to_string(other) + " (" +
             member.place + ") one of " + member.kind + ": all must be told the same";
  return "";
}

void StoreServer::handleWait(Client& client, std::vector<std::string> keys, int64_t milliseconds, bool wantsValue) {
  const auto patience = std::chrono::milliseconds(std::clamp<int64_t>(milliseconds, 0, int64_t{1} << 40));
  const Pending pending{&client, std::move(keys), wantsValue, Clock::now() + patience};
  if (!tryAnswer(pending)) pending_.push_back(pending);
}

const std::string* StoreServer::firstMissing(const std::vector<std::string>& keys) const {
  for (const std::string& key : keys)
    if (values_.find(key) == values_.end()) return &key;
  return nullptr;
}

bool StoreServer::tryAnswer(const Pending& pending) {
  const std::string* missing = firstMissing(pending.keys);
  MessageWriter writer;
  if (missing == nullptr) {
    writer = done();
    if (pending.wantsValue) writer.text(values_.at(pending.keys[0]));
  } else if (!refusal_.empty()) {
    writer = refused(refusal_);
  } else if (!gone_.empty()) {
    writer.byte(static_cast<uint8_t>(Answer::Gone)).number(static_cast<int64_t>(gone_.size()));
    for (const int64_t rank : gone_) writer.number(rank);
  } else if (Clock::now() >= pending.deadline) {
    writer.byte(static_cast<uint8_t>(Answer::Late)).text(*missing);
  } else {
    return false;
  }
  answer(*pending.client, writer);
  return true;
}

void StoreServer::answerPending() {
  for (auto pending = pending_.begin(); pending != pending_.end();) {
    const auto current = pending++;
    if (!tryAnswer(*current)) continue;
    // Where it cannot be written now it is when there is room; where the other end is closed, that is noticed then.
    flush(*current->client);
    pending_.erase(current);
  }
}

void StoreServer::drop(std::list<Client>::iterator client) {
  if (client->rank >= 0) {
    members_.erase(client->rank);
    gone_.insert(client->rank);
  }
  pending_.remove_if([&](const Pending& pending) { return pending.client == &*client; });
  clients_.erase(client);
}

}  // namespace goshawk
