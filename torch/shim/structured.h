// torch: operators with a meta function of torch's own: it checks the inputs, promotes types and says
// what the results are. What torch generates for a device inside its tree, as a template.
#pragma once

#include "shim.h"

#include <ATen/native/Resize.h>
#include <ATen/ops/empty_strided.h>

#include <array>
#include <functional>
#include <type_traits>

// Whether this version's meta functions pass names of dimensions: asked of its headers by the build.
#if ABX_TORCH_NAMES
#define ABX_NAMES_PARAMETER , at::DimnameList names
#define ABX_NAMES , names
#else
#define ABX_NAMES_PARAMETER
#define ABX_NAMES
#endif

namespace arcbox {

template <class Meta, size_t N> struct Structured final : Meta {
    template <class... T> explicit Structured(T &...outputs) : outputs_{std::ref(outputs)...} {}

    void set_output_strided(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides, at::TensorOptions options
            ABX_NAMES_PARAMETER) override
    {
        const at::Tensor &out = outputs_[index].get();
        fit(out, sizes, strides, options);
        // The kernel wants other strides than the given result has: through one of its own.
        if (!strides.empty() && out.strides() != strides)
            proxies_[index] = at::empty_strided(sizes, strides, options);
        tell_iterator(index, sizes, strides, options ABX_NAMES);
    }

    void set_output_raw_strided(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides,
        at::TensorOptions options ABX_NAMES_PARAMETER) override
    {
        fit(outputs_[index].get(), sizes, strides, options);
        tell_iterator(index, sizes, strides, options ABX_NAMES);
    }

    const at::Tensor &maybe_get_output(int64_t index) override
    {
        return proxies_[index] ? *proxies_[index] : outputs_[index].get();
    }

    void finish()
    {
        for (size_t i = 0; i < N; i++)
            if (proxies_[i])
                outputs_[i].get().copy_(*proxies_[i]);
    }

private:
    static void fit(const at::Tensor &out, at::IntArrayRef sizes, at::IntArrayRef strides,
        const at::TensorOptions &options)
    {
        TORCH_CHECK(options.dtype() == out.dtype(), "Expected out tensor to have dtype ", options.dtype(),
            ", but got ", out.dtype(), " instead");
        TORCH_CHECK(options.device().type() == out.device().type(), "Expected out tensor to have device ",
            options.device(), ", but got ", out.device(), " instead");
        if (!at::native::resize_output(out, sizes))
            return;
        if (!strides.empty()) {
            out.as_strided_(sizes, strides);
        } else if (options.memory_format_opt()) {
            out.unsafeGetTensorImpl()->empty_tensor_restride(*options.memory_format_opt());
        }
    }

    void tell_iterator(int64_t index, at::IntArrayRef sizes, at::IntArrayRef strides,
        const at::TensorOptions &options ABX_NAMES_PARAMETER)
    {
        if constexpr (std::is_base_of_v<at::TensorIteratorBase, Meta>)
            Meta::set_output_raw_strided(index, sizes, strides, options ABX_NAMES);
    }

    std::array<std::reference_wrapper<at::Tensor>, N> outputs_;
    std::array<std::optional<at::Tensor>, N> proxies_;
};

// While it lives this thread has no warnings: some versions have a kernel for linalg_lu_solve.out, which is the
// processor's, under this device's key, and warn of whoever takes its place.
class Quiet final : c10::WarningHandler {
    void process(const c10::Warning &) override {}
    c10::WarningUtils::WarningHandlerGuard guard_{this};
};

} // namespace arcbox
