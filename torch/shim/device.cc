// torch: the device itself: guard, hooks, generator, the fallback to the processor, and what our Python
// side asks for.
#include "shim.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <ATen/ops/empty.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_set>

namespace arcbox {
using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::kMPS;
using c10::Stream;

static void synchronize()
{
    check(abx_torch_wait(UINT64_MAX));
}

// ---- events

static abx_torch_event *event_of(void *event)
{
    return static_cast<abx_torch_event *>(event);
}

static abx_torch_event *new_event()
{
    check(abx_torch_open());
    abx_torch_event *made = abx_torch_event_new();
    TORCH_CHECK(made, "out of memory");
    return made;
}

static bool is_idle()
{
    abx_torch_event *now = new_event();
    int recorded = abx_torch_event_record(now);
    bool idle = recorded < 0 || abx_torch_event_has_ended(now);
    abx_torch_event_free(now);
    check(recorded);
    return idle;
}

static double elapsed(const abx_torch_event *start, const abx_torch_event *end)
{
    double milliseconds = 0;
    check(abx_torch_event_elapsed(start, end, &milliseconds));
    return milliseconds;
}

namespace {
// Those of torch.mps.Event, which have numbers.
struct Events {
    struct Event {
        std::shared_ptr<abx_torch_event> event;
        bool is_timed;
    };
    std::mutex lock;
    std::map<uint32_t, Event> events;
    uint32_t last = 0;

    uint32_t acquire(bool is_timed)
    {
        std::shared_ptr<abx_torch_event> made(new_event(), &abx_torch_event_free);
        std::lock_guard<std::mutex> hold(lock);
        while (!++last || events.count(last))
            ;
        events[last] = {made, is_timed};
        return last;
    }
    void release(uint32_t number)
    {
        std::lock_guard<std::mutex> hold(lock);
        events.erase(number);
    }
    Event of(uint32_t number)
    {
        std::lock_guard<std::mutex> hold(lock);
        auto found = events.find(number);
        TORCH_CHECK(found != events.end(), "no event has the number ", number);
        return found->second;
    }
};
} // namespace

static Events &events()
{
    static auto *all = new Events; // Python frees its own after static objects of ours have gone
    return *all;
}

// ---- one device, one stream

namespace {
struct Guard final : c10::impl::DeviceGuardImplInterface {
    static constexpr c10::DeviceType static_type = kMPS;
    explicit Guard(c10::DeviceType = kMPS) {}
    c10::DeviceType type() const override { return kMPS; }
    Device exchangeDevice(Device) const override { return Device(kMPS, 0); }
    Device getDevice() const override { return Device(kMPS, 0); }
    void setDevice(Device) const override {}
    void uncheckedSetDevice(Device) const noexcept override {}
    Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, Device(kMPS, 0)); }
    Stream getDefaultStream(Device) const override { return Stream(Stream::DEFAULT, Device(kMPS, 0)); }
    Stream getNewStream(Device, int) const override { return Stream(Stream::DEFAULT, Device(kMPS, 0)); }
    Stream exchangeStream(Stream) const noexcept override { return Stream(Stream::DEFAULT, Device(kMPS, 0)); }
    DeviceIndex deviceCount() const noexcept override { return 1; }
    void record(void **event, const Stream &, const DeviceIndex, const c10::EventFlag) const override
    {
        if (!*event)
            *event = new_event();
        check(abx_torch_event_record(event_of(*event)));
    }
    void block(void *, const Stream &) const override {}
    bool queryStream(const Stream &) const override { return is_idle(); }
#if TORCH_VERSION_MINOR >= 10
    c10::DeviceCapability getDeviceCapability(Device) const override
    {
        c10::DeviceCapability has;
        auto &types = has.capability_data.supported_scalar_types;
        types.has_Double = types.has_ComplexDouble = 0;
        return has;
    }
#endif
    bool queryEvent(void *event) const override { return !event || abx_torch_event_has_ended(event_of(event)); }
    void destroyEvent(void *event, const DeviceIndex) const noexcept override { abx_torch_event_free(event_of(event)); }
    double elapsedTime(void *start, void *end, const DeviceIndex) const override
    {
        TORCH_CHECK(start && end, "Both events must be recorded before calculating elapsed time.");
        return elapsed(event_of(start), event_of(end));
    }
    void synchronizeStream(const Stream &) const override { synchronize(); }
    void synchronizeDevice(const DeviceIndex) const override { synchronize(); }
    void synchronizeEvent(void *event) const override
    {
        if (event)
            check(abx_torch_event_wait(event_of(event)));
    }
};

struct Generator final : at::CPUGeneratorImpl {
    explicit Generator(uint64_t seed = c10::default_rng_seed_val) : CPUGeneratorImpl(seed)
    {
        device_ = Device(kMPS, 0);
        key_set_ = c10::DispatchKeySet(c10::DispatchKey::MPS);
    }
};
} // namespace

static std::optional<at::Generator> made_generator()
{
    return at::make_generator<Generator>();
}

static at::Generator new_generator()
{
    return at::make_generator<Generator>();
}

const at::Generator &default_generator()
{
    static const at::Generator one = new_generator();
    return one;
}

// ---- hooks

static abx_torch_counts counts()
{
    abx_torch_counts now;
    abx_torch_get_counts(&now);
    return now;
}

static void *lent(void *object)
{
    TORCH_CHECK(object, abx_torch_error());
    return object;
}

struct Hooks final : at::MPSHooksInterface {
    Hooks() = default;
    explicit Hooks(at::MPSHooksArgs) {}
    void init() const override { check(abx_torch_open()); }
    bool hasMPS() const override { return true; }
    bool isOnMacOSorNewer(unsigned major, unsigned) const override { return major <= 15; }
    const at::Generator &getDefaultGenerator(DeviceIndex) const override { return default_generator(); }
#if TORCH_VERSION_MINOR >= 7
    at::Generator getNewGenerator(DeviceIndex) const override { return new_generator(); }
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
#endif
    DeviceIndex deviceCount() const override { return 1; }
    at::Allocator *getMPSDeviceAllocator() const override { return allocator(); }
    void deviceSynchronize() const override { synchronize(); }
    void commitStream() const override { abx_torch_commit(); }
    void *getCommandBuffer() const override { return lent(abx_torch_lend_command_buffer()); }
    void *getDispatchQueue() const override { return abx_torch_dispatch_queue(); }
    void emptyCache() const override { abx_torch_empty_cache(); }
    size_t getCurrentAllocatedMemory() const override { return counts().allocated; }
    size_t getDriverAllocatedMemory() const override { return counts().held; }
    size_t getRecommendedMaxMemory() const override { return counts().limit; }
    void setMemoryFraction(double) const override {}
    uint32_t acquireEvent(bool is_timed) const override { return events().acquire(is_timed); }
    void releaseEvent(uint32_t number) const override { events().release(number); }
    void recordEvent(uint32_t number) const override { check(abx_torch_event_record(events().of(number).event.get())); }
    void waitForEvent(uint32_t) const override {} // one stream: it does
    void synchronizeEvent(uint32_t number) const override { check(abx_torch_event_wait(events().of(number).event.get())); }
    bool queryEvent(uint32_t number) const override { return abx_torch_event_has_ended(events().of(number).event.get()); }
    double elapsedTimeOfEvents(uint32_t start, uint32_t end) const override
    {
        Events::Event from = events().of(start), to = events().of(end);
        TORCH_CHECK(from.is_timed && to.is_timed, "Events were not created with argument 'enable_timing=True'");
        double milliseconds = elapsed(from.event.get(), to.event.get());
        TORCH_CHECK(milliseconds > 0, "End event ", end, " was not recorded after start event ", start);
        return milliseconds;
    }
    // There is nothing here that shows signposts; what can be seen is that launches are waited for.
    void profilerStartTrace(const std::string &mode, bool waits) const override
    {
        for (const char *known : {"interval", "event", "interval,event", "event,interval"})
            if (mode == known) {
                abx_torch_wait_each(waits);
                return;
            }
        TORCH_CHECK(false, "Invalid Signpost trace mode: ", mode);
    }
    void profilerStopTrace() const override { abx_torch_wait_each(false); }
    bool hasPrimaryContext(DeviceIndex) const override { return true; }
    bool isPinnedPtr(const void *) const override { return false; }
    at::Allocator *getPinnedMemoryAllocator() const override { return at::getCPUAllocator(); }
    Device getDeviceFromPtr(void *) const override { return Device(kMPS, 0); }
};

// ---- CUDA, where it is built in, too

namespace {
struct LongerHooks : at::CUDAHooksInterface {
    virtual void last() {}
};
} // namespace

// Where a virtual function stands in its class's table. A pointer to it holds the offset there, and on some
// processors a bit that says so (the C++ ABI of Itanium, 2.3).
template <class Function> static size_t place_of(Function function)
{
    uintptr_t word;
    static_assert(sizeof function == 2 * sizeof word);
    std::memcpy(&word, &function, sizeof word);
    return word / sizeof(void *);
}

// torch has one accelerator. Where CUDA is built in, as in PyPI's wheels, with a GPU or without, it refuses
// to find any as soon as MPS is another, and then autograd does not run. So CUDA's hooks say that they are
// not there when they are asked for that, and do all else as before. Their object was made while torch was
// imported: it gets a copy of its table of functions, with this one exchanged.
static void step_before_cuda()
{
    static void *copy[256];
    auto &hooks = const_cast<at::CUDAHooksInterface &>(at::detail::getCUDAHooks());
    size_t count = place_of(&LongerHooks::last);
#if TORCH_VERSION_MINOR >= 7
    size_t asked = place_of(&at::CUDAHooksInterface::isBuilt);
#else
    size_t asked = place_of(&at::CUDAHooksInterface::hasCUDA);
#endif
    void **theirs;
    std::memcpy(&theirs, &hooks, sizeof theirs);
    if (count + 2 > std::size(copy) || theirs == copy + 2)
        return;
    std::copy(theirs - 2, theirs + count, copy); // with what says the object's type, before the table
    copy[2 + asked] = reinterpret_cast<void *>(+[](const at::CUDAHooksInterface *) { return false; });
    theirs = copy + 2;
    std::memcpy(static_cast<void *>(&hooks), &theirs, sizeof theirs);
}

// ---- what has no kernel

static std::mutex counting;
static std::map<std::string, int64_t> native_calls, fallback_calls;

static bool counts_calls()
{
    static const bool wanted = std::getenv("ARCBOX_TORCH_COUNT");
    return wanted;
}

void count_native(const char *name)
{
    if (!counts_calls())
        return;
    std::lock_guard<std::mutex> hold(counting);
    native_calls[name]++;
}

void uncount_native(const char *name)
{
    if (!counts_calls())
        return;
    std::lock_guard<std::mutex> hold(counting);
    native_calls[name]--;
}

static bool is_strict()
{
    static const bool strict = [] {
        const char *text = std::getenv("PYTORCH_ENABLE_MPS_FALLBACK");
        return text && std::strcmp(text, "0") == 0;
    }();
    return strict;
}

static void say_once(const c10::OperatorHandle &op)
{
    static std::unordered_set<c10::OperatorName> said;
    std::lock_guard<std::mutex> hold(counting);
    if (counts_calls())
        fallback_calls[c10::toString(op.operator_name())]++;
    if (!said.insert(op.operator_name()).second)
        return;
    TORCH_WARN("The operator '", op.schema().operator_name(),
        "' is not currently supported on the MPS backend and will fall back to run on the CPU. This may have "
        "performance implications.");
}

// The operator's generators are of our device: the processor's kernels want one of theirs, in the
// same state, and what they leave is ours again.
struct lent_generator {
    at::Generator ours, theirs;
};

static std::optional<lent_generator> lend_generator(const c10::FunctionSchema &schema, torch::jit::Stack *stack)
{
    size_t count = schema.arguments().size();
    for (size_t i = 0; i < count; i++) {
        if (schema.arguments()[i].type()->str().find("Generator") == std::string::npos)
            continue;
        c10::IValue &value = (*stack)[stack->size() - count + i];
        at::Generator ours = value.isGenerator() ? value.toGenerator() : default_generator();
        if (!ours.device().is_mps())
            return std::nullopt;
        at::Generator theirs = at::make_generator<at::CPUGeneratorImpl>();
        theirs.set_state(ours.get_state());
        value = theirs;
        return lent_generator{ours, theirs};
    }
    return std::nullopt;
}

void fall_back(const c10::OperatorHandle &op, torch::jit::Stack *stack)
{
    TORCH_CHECK_NOT_IMPLEMENTED(!is_strict(), "The operator '", op.schema().operator_name(),
        "' is not currently implemented for the MPS device, and PYTORCH_ENABLE_MPS_FALLBACK=0 forbids to run it on "
        "the CPU.");
    say_once(op);
    std::optional<lent_generator> lent = lend_generator(op.schema(), stack);
    at::native::cpu_fallback(op, stack);
    if (lent)
        lent->ours.set_state(lent->theirs.get_state());
}

// ---- for Python

static int64_t allocator_address()
{
    return reinterpret_cast<int64_t>(allocator());
}

static std::vector<int64_t> statistics()
{
    abx_torch_counts c = counts();
    return {static_cast<int64_t>(c.launches), static_cast<int64_t>(c.batches), static_cast<int64_t>(c.waits),
        static_cast<int64_t>(c.kernels), static_cast<int64_t>(c.allocated), static_cast<int64_t>(c.held)};
}

static c10::Dict<std::string, int64_t> calls(bool native)
{
    std::lock_guard<std::mutex> hold(counting);
    c10::Dict<std::string, int64_t> made;
    for (const auto &[name, count] : native ? native_calls : fallback_calls)
        made.insert(name, count);
    return made;
}

static void forget_calls()
{
    std::lock_guard<std::mutex> hold(counting);
    native_calls.clear();
    fallback_calls.clear();
}

TORCH_LIBRARY(arcbox, m)
{
    step_before_cuda();
    m.def("new_generator() -> Generator?", made_generator);
    m.def("allocator_address() -> int", allocator_address);
    m.def("statistics() -> int[]", statistics);
    m.def("is_idle() -> bool", is_idle);
    m.def("bytes_on_processor(Tensor bytes) -> Tensor", bytes_on_processor);
    m.def("calls(bool native) -> Dict(str, int)", calls);
    m.def("forget_calls() -> ()", forget_calls);
}

TORCH_LIBRARY_IMPL(_, MPS, m)
{
    m.fallback(torch::CppFunction::makeFromBoxedFunction<&fall_back>());
}

C10_REGISTER_GUARD_IMPL(MPS, Guard);
} // namespace arcbox

namespace at {
C10_REGISTER_TYPED_CLASS(MPSHooksRegistry, "MPSHooks", arcbox::Hooks);
} // namespace at
