// torch: memory, and tensors that share it: the allocator, empty tensors, views, storage, copies.
#include "shim.h"

#include <ATen/EmptyTensor.h>
#include <ATen/native/Resize.h>
#include <ATen/native/TensorShape.h>
#include <ATen/native/UnaryOps.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/is_set_to_native.h>
#include <ATen/ops/view_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <torch/library.h>
#if TORCH_VERSION_MINOR >= 9
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include <cstring>
#include <mutex>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

void check(int result)
{
    TORCH_CHECK(result >= 0, abx_torch_error());
}

static void release(void *context)
{
    abx_torch_free(static_cast<abx_torch_block *>(context));
}

static abx_torch_counts counts_now()
{
    abx_torch_counts now;
    abx_torch_get_counts(&now);
    return now;
}

#if TORCH_VERSION_MINOR >= 9
namespace {
// What torch.accelerator says of memory.
struct DeviceAllocator : c10::DeviceAllocator {
    std::mutex lock;
    c10::CachingAllocator::Stat allocated, held;

    static void follow(c10::CachingAllocator::Stat &stat, uint64_t now)
    {
        int64_t more = static_cast<int64_t>(now) - stat.current;
        more > 0 ? stat.increase(static_cast<size_t>(more)) : stat.decrease(static_cast<size_t>(-more));
    }
    void note()
    {
        abx_torch_counts now = counts_now();
        std::lock_guard<std::mutex> hold(lock);
        follow(allocated, now.allocated);
        follow(held, now.held);
    }
    bool initialized() override { return true; }
    void emptyCache(c10::MempoolId_t) override { abx_torch_empty_cache(); }
    void recordStream(const c10::DataPtr &, c10::Stream) override {}
    c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override
    {
        constexpr size_t all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
        c10::CachingDeviceAllocator::DeviceStats stats;
        note();
        std::lock_guard<std::mutex> hold(lock);
        stats.allocated_bytes[all] = stats.active_bytes[all] = stats.requested_bytes[all] = allocated;
        stats.reserved_bytes[all] = held;
        return stats;
    }
    void resetAccumulatedStats(c10::DeviceIndex) override
    {
        std::lock_guard<std::mutex> hold(lock);
        allocated.reset_accumulated();
        held.reset_accumulated();
    }
    void resetPeakStats(c10::DeviceIndex) override
    {
        note();
        std::lock_guard<std::mutex> hold(lock);
        allocated.reset_peak();
        held.reset_peak();
    }
    // 2.9 does not ask for it.
    virtual std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex)
    {
        check(abx_torch_open());
        abx_torch_counts now = counts_now();
        return {now.limit > now.held ? now.limit - now.held : 0, now.limit};
    }
};
} // namespace
#else
namespace {
struct DeviceAllocator : c10::Allocator {
    void note() {}
};
} // namespace
#endif

namespace {
struct Allocator final : DeviceAllocator {
    c10::DataPtr allocate(size_t size) override
    {
        check(abx_torch_open());
        note();
        abx_torch_block *block = abx_torch_allocate(size);
        if (!block) {
            abx_torch_counts counts = counts_now();
            TORCH_CHECK_WITH(OutOfMemoryError, false, "MPS backend out of memory (MPS allocated: ",
                counts.allocated >> 20, " MB, other allocations: ", (counts.held - counts.allocated) >> 20,
                " MB, max allowed: ", counts.limit >> 20, " MB). Tried to allocate ", size >> 20, " MB.");
        }
        note();
        return {block->place, block, &release, c10::Device(c10::kMPS, 0)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
    void copy_data(void *to, const void *from, std::size_t size) const override
    {
        TORCH_CHECK(abx_torch_shares_memory(), "this device's memory is its own: bytes without a tensor are not copied");
        check(abx_torch_wait(UINT64_MAX));
        std::memcpy(abx_torch_contents(to), abx_torch_contents(const_cast<void *>(from)), size);
    }
};
} // namespace

c10::Allocator *allocator()
{
    static Allocator one;
    return &one;
}

static const int registered = [] {
    c10::SetAllocator(c10::kMPS, allocator());
    return 0;
}();

abx_torch_block *block_of(const at::TensorBase &tensor)
{
    const c10::DataPtr &data = tensor.storage().data_ptr();
    TORCH_CHECK(data.get_deleter() == &release,
        "Expected all tensors to be on the same device, but found at least two devices, mps:0 and ", tensor.device(),
        "!");
    return static_cast<abx_torch_block *>(data.get_context());
}

abx_torch_operand operand_of(const at::TensorBase &tensor)
{
    return {block_of(tensor), static_cast<size_t>(tensor.storage_offset()) * tensor.itemsize()};
}

abx_torch_tensor tensor_of(const Tensor &tensor)
{
    abx_torch_tensor made = {};
    if (!tensor.defined())
        return made;
    TORCH_CHECK(tensor.dim() <= ABX_TORCH_DIMS, "more than ", ABX_TORCH_DIMS, " dimensions are not supported here");
    made.at = operand_of(tensor);
    made.type = static_cast<int>(tensor.scalar_type());
    made.dims = static_cast<unsigned>(tensor.dim());
    for (unsigned d = 0; d < made.dims; d++) {
        made.size[d] = tensor.size(d);
        made.stride[d] = tensor.stride(d);
    }
    return made;
}

bool knows(at::ScalarType type)
{
    return abx_torch_knows_type(static_cast<int>(type));
}

static Tensor alias(const Tensor &tensor)
{
    c10::Storage storage(c10::Storage::use_byte_size_t{}, tensor.storage().nbytes(),
        c10::DataPtr(block_of(tensor)->data, c10::Device(c10::kCPU)), nullptr, false);
    Tensor made = at::detail::make_tensor<c10::TensorImpl>(
        std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), tensor.dtype());
    made.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
    made._set_conj(tensor.is_conj());
    made._set_neg(tensor.is_neg());
    return made;
}

// Bytes from its first element to its last.
static size_t extent_of(const Tensor &tensor)
{
    return at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), tensor.itemsize());
}

// As it lies there, with what lies between its elements.
static Tensor read(const Tensor &tensor)
{
    Tensor made = at::detail::empty_strided_cpu(tensor.sizes(), tensor.strides(), tensor.scalar_type());
    check(abx_torch_download(made.mutable_data_ptr(), operand_of(tensor), extent_of(tensor)));
    made._set_conj(tensor.is_conj());
    made._set_neg(tensor.is_neg());
    return made;
}

Tensor on_processor(const Tensor &tensor)
{
    if (!abx_torch_shares_memory()) {
        bool far = extent_of(tensor) > 2 * tensor.nbytes() && knows(tensor.scalar_type()) && !tensor.is_neg();
        return read(far ? tensor.contiguous() : tensor);
    }
    check(abx_torch_wait_for(block_of(tensor)));
    return alias(tensor);
}

// The same bytes for the processor, for as long as it has them. Who uses it waits by itself.
Tensor bytes_on_processor(const Tensor &bytes)
{
    abx_torch_block *block = block_of(bytes);
    TORCH_CHECK(abx_torch_shares_memory(), "this device has memory of its own, which the processor does not see: "
        "copy the tensor with .cpu()");
    auto *kept = new Tensor(bytes);
    c10::Storage storage(c10::Storage::use_byte_size_t{}, bytes.storage().nbytes(),
        c10::DataPtr(block->data, kept,
            [](void *context) { delete static_cast<Tensor *>(context); }, c10::Device(c10::kCPU)), nullptr, false);
    Tensor made = at::detail::make_tensor<c10::TensorImpl>(
        std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), caffe2::TypeMeta::Make<uint8_t>());
    made.unsafeGetTensorImpl()->set_sizes_contiguous({static_cast<int64_t>(bytes.storage().nbytes())});
    return made;
}

// ---- made empty

static at::ScalarType supported(std::optional<at::ScalarType> type)
{
    at::ScalarType wanted = c10::dtype_or_default(type);
    TORCH_CHECK_TYPE(wanted != at::kDouble,
        "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
        "Please use float32 instead.");
    TORCH_CHECK_TYPE(wanted != at::kComplexDouble,
        "Cannot convert a MPS Tensor to complex128 dtype as the MPS framework doesn't support complex128. "
        "Please use complex64 instead.");
    return wanted;
}

static constexpr c10::DispatchKeySet keys(c10::DispatchKey::MPS);

static Tensor empty(IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
    std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format)
{
    TORCH_CHECK(!device || device->index() <= 0, "there is one mps device here, mps:0");
    return at::detail::empty_generic(size, allocator(), keys, supported(type), format);
}

static Tensor empty_strided(IntArrayRef size, IntArrayRef stride, std::optional<at::ScalarType> type,
    std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>)
{
    TORCH_CHECK(!device || device->index() <= 0, "there is one mps device here, mps:0");
    return at::detail::empty_strided_generic(size, stride, allocator(), keys, supported(type));
}

Tensor empty_like_sizes(IntArrayRef size, at::ScalarType type)
{
    return at::detail::empty_generic(size, allocator(), keys, type, std::nullopt);
}

// ---- views, as every strided device has them

static Tensor as_strided(const Tensor &self, IntArrayRef size, IntArrayRef stride, std::optional<int64_t> offset)
{
    Tensor made = at::detail::make_tensor<c10::TensorImpl>(
        c10::TensorImpl::VIEW, c10::Storage(self.storage()), self.key_set(), self.dtype());
    at::native::setStrided(made, size, stride, offset.value_or(self.storage_offset()));
    return made;
}

static Tensor view(const Tensor &self, IntArrayRef size)
{
    return at::native::view(self, size);
}

// ---- storage

static void grow_storage(const Tensor &self, size_t wanted)
{
    c10::StorageImpl *storage = self.storage().unsafeGetStorageImpl();
    if (storage->nbytes() >= wanted)
        return;
    c10::DataPtr grown = allocator()->allocate(wanted);
    if (storage->nbytes()) {
        abx_torch_block *from = static_cast<abx_torch_block *>(storage->data_ptr().get_context());
        check(abx_torch_copy({static_cast<abx_torch_block *>(grown.get_context()), 0}, {from, 0},
            storage->nbytes()));
    }
    storage->set_data_ptr_noswap(std::move(grown));
    storage->set_nbytes(wanted);
}

static const Tensor &resize(const Tensor &self, IntArrayRef size, std::optional<at::MemoryFormat> format)
{
    c10::TensorImpl *impl = self.unsafeGetTensorImpl();
    if (self.sizes() == size && !format)
        return self;
    impl->set_sizes_contiguous(size);
    if (self.numel())
        grow_storage(self, (self.numel() + self.storage_offset()) * self.itemsize());
    if (format) {
        TORCH_CHECK(*format != at::MemoryFormat::Preserve, "Unsupported memory format", *format);
        impl->empty_tensor_restride(*format);
    }
    return self;
}

static Tensor &set_storage(Tensor &self, at::Storage source, int64_t offset, IntArrayRef size, IntArrayRef stride)
{
    at::native::checkSetStorage(self, std::move(source), offset, size, stride);
    c10::TensorImpl *impl = self.unsafeGetTensorImpl();
    impl->set_storage_offset(offset);
    if (stride.data()) {
        impl->set_sizes_and_strides(size, stride);
    } else {
        impl->set_sizes_contiguous(size);
    }
    if (self.numel())
        grow_storage(self, at::detail::computeStorageNbytes(self.sizes(), self.strides(), self.itemsize(), offset));
    return self;
}

static Tensor &set_whole_storage(Tensor &self, at::Storage source)
{
    int64_t size = static_cast<int64_t>(source.nbytes() / self.dtype().itemsize());
    return set_storage(self, std::move(source), 0, size, {});
}

static Tensor &set_tensor(Tensor &self, const Tensor &source)
{
    if (self.unsafeGetTensorImpl() == source.unsafeGetTensorImpl())
        return self;
    return set_storage(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
}

static Tensor &set_nothing(Tensor &self)
{
    at::Storage storage(c10::Storage::use_byte_size_t(), 0, allocator(), true);
    return set_storage(self, std::move(storage), 0, {0}, {});
}

// ---- copies

static void copy_on_device(Tensor &self, const Tensor &source)
{
    at::TensorIterator iter = at::TensorIteratorConfig()
                                  .add_output(self)
                                  .add_const_input(source)
                                  .resize_outputs(false)
                                  .check_all_same_dtype(false)
                                  .check_all_same_device(true)
                                  .build();
    bool conj = self.is_conj() != source.is_conj(), neg = self.is_neg() != source.is_neg();
    bool complex = can_iterate_complex(iter);
    if (!(conj && neg) && (complex || (!conj && can_iterate(iter)))) {
        // What is not 0 becomes true, 0.5 as well.
        iterate(iter, conj ? "e_copy_conj" : neg ? "e_copy_neg" : "e_copy", {},
            self.scalar_type() == at::kBool ? source.scalar_type() : self.scalar_type());
    } else {
        Tensor to = abx_torch_shares_memory() ? on_processor(self) : read(self);
        check(abx_torch_wait(UINT64_MAX));
        to.copy_(on_processor(source));
        if (!abx_torch_shares_memory())
            check(abx_torch_upload(operand_of(self), to.const_data_ptr(), extent_of(self)));
    }
}

// From the processor, in the form it has there when the other side is the same without gaps.
static void copy_to_device(Tensor &self, const Tensor &source)
{
    if (self.scalar_type() != source.scalar_type() && !knows(self.scalar_type())) {
        copy_to_device(self, source.to(self.scalar_type()));
        return;
    }
    Tensor ready = source.is_conj() || source.is_neg() ? source.resolve_conj().resolve_neg() : source;
    if (!knows(ready.scalar_type()) && ready.scalar_type() != self.scalar_type())
        ready = ready.to(self.scalar_type());
    bool same = ready.scalar_type() == self.scalar_type() && ready.sizes() == self.sizes();
    if (same && ready.strides() == self.strides() && self.is_non_overlapping_and_dense()) {
        check(abx_torch_upload(operand_of(self), ready.const_data_ptr(), self.nbytes()));
        return;
    }
    ready = ready.expand(self.sizes()).to(self.scalar_type()).contiguous();
    if (self.is_contiguous()) {
        check(abx_torch_upload(operand_of(self), ready.const_data_ptr(), self.nbytes()));
        return;
    }
    Tensor staged = empty_like_sizes(self.sizes(), self.scalar_type());
    check(abx_torch_upload(operand_of(staged), ready.const_data_ptr(), staged.nbytes()));
    copy_on_device(self, staged);
}

static void copy_to_processor(Tensor &self, const Tensor &source)
{
    bool same = self.is_cpu() && self.scalar_type() == source.scalar_type() && self.sizes() == source.sizes() &&
        self.strides() == source.strides() && self.is_non_overlapping_and_dense() &&
        self.is_conj() == source.is_conj() && self.is_neg() == source.is_neg();
    if (same)
        check(abx_torch_download(self.mutable_data_ptr(), operand_of(source), self.nbytes()));
    else
        self.copy_(on_processor(source));
}

static Tensor &copy(Tensor &self, const Tensor &source, bool)
{
    count_native("aten::copy_");
    if (self.is_same(source) || self.numel() == 0)
        return self;
    if (self.is_mps() && source.is_mps()) {
        copy_on_device(self, source);
    } else if (self.is_mps()) {
        copy_to_device(self, source);
    } else {
        copy_to_processor(self, source);
    }
    return self;
}

static Tensor copy_from(const Tensor &source, const Tensor &to, bool non_blocking)
{
    Tensor self = to;
    copy(self, source, non_blocking);
    return to;
}

static Tensor copy_from_and_resize(const Tensor &source, const Tensor &to)
{
    if (to.sizes() != source.sizes())
        to.resize_(source.sizes());
    return copy_from(source, to, false);
}

static at::Scalar local_scalar(const Tensor &self)
{
    count_native("aten::_local_scalar_dense");
    return on_processor(self).item();
}

TORCH_LIBRARY_IMPL(aten, MPS, m)
{
    m.impl("empty.memory_format", TORCH_FN(empty));
    m.impl("empty_strided", TORCH_FN(empty_strided));
    m.impl("as_strided", TORCH_FN(as_strided));
    m.impl("view", TORCH_FN(view));
    m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
    m.impl("unfold", TORCH_FN(at::native::unfold));
    m.impl("view_as_real", TORCH_FN(at::native::view_as_real));
    m.impl("view_as_complex", TORCH_FN(at::native::view_as_complex));
    m.impl("resize_", TORCH_FN(resize));
    m.impl("is_set_to", TORCH_FN(at::native::is_set_to));
    m.impl("set_.source_Storage_storage_offset", TORCH_FN(set_storage));
    m.impl("set_.source_Storage", TORCH_FN(set_whole_storage));
    m.impl("set_.source_Tensor", TORCH_FN(set_tensor));
    m.impl("set_", TORCH_FN(set_nothing));
    m.impl("copy_", TORCH_FN(copy));
    m.impl("_copy_from", TORCH_FN(copy_from));
    m.impl("_copy_from_and_resize", TORCH_FN(copy_from_and_resize));
    m.impl("_local_scalar_dense", TORCH_FN(local_scalar));
}

} // namespace arcbox
