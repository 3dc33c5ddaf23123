// torch: sparse tensors in coordinates (COO), which Macs have since PyTorch 2.9. Most of it is torch's own code for all
// devices, over two dense tensors, indices and values; what each device has for itself is here, composed of operators
// that have kernels. CSR and its like have no device here, nor on a Mac.
#include "shim.h"

#include <ATen/ops/_coalesced_native.h>
#include <ATen/ops/_indices_native.h>
#include <ATen/ops/_nnz_native.h>
#include <ATen/ops/_sparse_broadcast_to_native.h>
#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/_sparse_coo_tensor_with_dims_and_tensors_native.h>
#include <ATen/ops/_sparse_coo_tensor_with_dims_native.h>
#include <ATen/ops/_sparse_mm_native.h>
#include <ATen/ops/_to_dense_native.h>
#include <ATen/ops/_to_sparse_native.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/_values_native.h>
#include <ATen/ops/abs_native.h>
#include <ATen/ops/add.h>
#include <ATen/ops/add_native.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cat_native.h>
#include <ATen/ops/clone_native.h>
#include <ATen/ops/copy_native.h>
#include <ATen/ops/copy_sparse_to_sparse_native.h>
#include <ATen/ops/dense_dim_native.h>
#include <ATen/ops/div_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like_native.h>
#include <ATen/ops/empty_native.h>
#include <ATen/ops/indices_native.h>
#include <ATen/ops/is_coalesced_native.h>
#include <ATen/ops/isin.h>
#include <ATen/ops/isnan_native.h>
#include <ATen/ops/mul_native.h>
#include <ATen/ops/mv_native.h>
#include <ATen/ops/narrow_copy_native.h>
#include <ATen/ops/neg_native.h>
#include <ATen/ops/permute_native.h>
#include <ATen/ops/relu_native.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sin_native.h>
#include <ATen/ops/sparse_dim_native.h>
#include <ATen/ops/sparse_mask_native.h>
#include <ATen/ops/sparse_resize_and_clear_native.h>
#include <ATen/ops/sparse_resize_native.h>
#include <ATen/ops/sqrt_native.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sub_native.h>
#include <ATen/ops/sum_native.h>
#include <ATen/ops/tanh_native.h>
#include <ATen/ops/unsqueeze_native.h>
#include <ATen/ops/values_native.h>
#include <ATen/ops/zero_native.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_native.h>

namespace arcbox {
using at::IntArrayRef;
using at::Scalar;
using at::Tensor;

// ---- places

// Each column of coordinates as one number, in the order of rows.
static Tensor places_of(const Tensor &indices, IntArrayRef sizes)
{
    Tensor made = at::zeros({indices.size(1)}, indices.options());
    for (int64_t d = 0; d < indices.size(0); d++)
        made = made.mul(sizes[static_cast<size_t>(d)]).add(indices.select(0, d));
    return made;
}

static Tensor indices_of(const Tensor &places, int64_t dims, IntArrayRef sizes)
{
    std::vector<Tensor> rows(static_cast<size_t>(dims));
    Tensor left = places;
    for (int64_t d = dims - 1; d >= 0; d--) {
        int64_t size = std::max<int64_t>(sizes[static_cast<size_t>(d)], 1);
        rows[static_cast<size_t>(d)] = left.remainder(size);
        left = left.floor_divide(size);
    }
    return dims ? at::stack(rows) : at::zeros({0, places.size(0)}, places.options());
}

static Tensor made_of(const Tensor &indices, const Tensor &values, IntArrayRef sizes, bool coalesced)
{
    return at::_sparse_coo_tensor_unsafe(indices, values, sizes)._coalesced_(coalesced);
}

static Tensor coalesced(const Tensor &self)
{
    if (self.is_coalesced())
        return self;
    if (self._nnz() < 2)
        return self.clone()._coalesced_(true);
    Tensor values = self._values();
    auto [places, place, count] = at::_unique2(places_of(self._indices(), self.sizes()), true, true, false);
    std::vector<int64_t> sizes(values.sizes().begin(), values.sizes().end());
    sizes[0] = places.size(0);
    bool is_bool = values.scalar_type() == at::kBool; // any of them
    Tensor added = is_bool ? values.to(at::kInt) : values;
    Tensor sums = at::zeros(sizes, added.options()).index_add(0, place, added);
    return made_of(indices_of(places, self.sparse_dim(), self.sizes()), is_bool ? sums.ne(0) : sums, self.sizes(), true);
}

// What lies at the coordinates in a tensor that is not sparse.
static Tensor values_at(const Tensor &dense, const Tensor &indices)
{
    int64_t dims = indices.size(0);
    return dense.flatten(0, dims - 1).index_select(0, places_of(indices, dense.sizes()));
}

// ---- arithmetic

static Tensor &resize_to(Tensor &out, const Tensor &made)
{
    out.sparse_resize_and_clear_(made.sizes(), made.sparse_dim(), made.dense_dim());
    return out.copy_(made);
}

static Tensor &add_to_dense(const Tensor &dense, const Tensor &sparse, const Scalar &alpha, Tensor &out)
{
    TORCH_CHECK(dense.sizes() == sparse.sizes(), "add: expected 'self' and 'other' to have same size, but self has size ",
        dense.sizes(), " while other has size ", sparse.sizes(), " (FYI: op2-sparse addition does not currently support broadcasting)");
    Tensor sum = dense.to(out.scalar_type(), false, true).contiguous(), values = sparse._values();
    if (sparse._nnz()) {
        int64_t dims = sparse.sparse_dim();
        Tensor rows = dims ? sum.flatten(0, dims - 1) : sum.unsqueeze(0);
        rows.index_add_(0, places_of(sparse._indices(), sparse.sizes()), values.to(sum.scalar_type()), alpha);
    }
    if (!out.is_same(dense))
        out.resize_(sum.sizes());
    return out.copy_(sum);
}

static Tensor &add_into(const Tensor &self, const Tensor &other, const Scalar &alpha, Tensor &out)
{
    if (!self.is_sparse())
        return add_to_dense(self, other, alpha, out);
    TORCH_CHECK(other.is_sparse(), "add(sparse, dense) is not supported. Use add(dense, sparse) instead.");
    TORCH_CHECK(self.sizes() == other.sizes(), "add: expected sizes of 'self' and 'other' to match, but ", self.sizes(),
        " != ", other.sizes());
    TORCH_CHECK(self.sparse_dim() == other.sparse_dim(), "add: expected 'self' and 'other' to have same density");
    at::ScalarType type = out.scalar_type();
    Tensor made = made_of(at::cat({self._indices(), other._indices()}, 1),
        at::cat({self._values().to(type), other._values().to(type).mul(alpha)}), self.sizes(), false);
    return resize_to(out, self.is_coalesced() && other.is_coalesced() ? made.coalesce() : made);
}

// Where both have something; a number, or one without dimensions, is for all.
static Tensor product(const Tensor &self, const Tensor &other)
{
    const Tensor &sparse = self.is_sparse() ? self : other, &with = self.is_sparse() ? other : self;
    if (with.dim() == 0) {
        Tensor number = with.is_sparse() ? with.to_dense() : with;
        return made_of(sparse._indices(), sparse._values().mul(number), sparse.sizes(), sparse.is_coalesced());
    }
    if (!with.is_sparse()) {
        Tensor values = values_at(with.expand(sparse.sizes()), sparse._indices());
        return made_of(sparse._indices(), sparse._values().mul(values), sparse.sizes(), sparse.is_coalesced());
    }
    TORCH_CHECK(self.sizes() == other.sizes() && self.sparse_dim() == other.sparse_dim(),
        "mul(sparse, sparse): expected operands of one shape");
    Tensor a = self.coalesce(), b = other.coalesce();
    Tensor first = places_of(a._indices(), a.sizes()), second = places_of(b._indices(), b.sizes());
    Tensor both = at::isin(first, second).nonzero().flatten(), found = first.index_select(0, both);
    Tensor values = a._values().index_select(0, both).mul(b._values().index_select(0, at::searchsorted(second, found)));
    return made_of(a._indices().index_select(1, both), values, a.sizes(), true);
}

static Tensor &multiply_into(const Tensor &self, const Tensor &other, Tensor &out)
{
    return resize_to(out, product(self, other).to(out.scalar_type()));
}

// What `self` has where `mask` has something.
static Tensor masked(const Tensor &self, const Tensor &mask)
{
    if (!self.is_sparse())
        return at::native::sparse_mask(self, mask);
    TORCH_CHECK(self.sizes() == mask.sizes() && self.sparse_dim() == mask.sparse_dim(),
        "sparse_mask(): operands have incompatible sizes");
    Tensor from = self.coalesce(), wanted = places_of(mask._indices(), mask.sizes()), values = from._values();
    if (from._nnz() == 0) {
        std::vector<int64_t> sizes(values.sizes().begin(), values.sizes().end());
        sizes[0] = wanted.size(0);
        return made_of(mask._indices(), at::zeros(sizes, values.options()), mask.sizes(), mask.is_coalesced());
    }
    Tensor there = places_of(from._indices(), from.sizes());
    Tensor at = at::searchsorted(there, wanted).clamp_max(from._nnz() - 1);
    std::vector<int64_t> column(static_cast<size_t>(values.dim()), 1);
    column[0] = wanted.size(0);
    Tensor missing = there.index_select(0, at).ne(wanted).view(column);
    return made_of(mask._indices(), values.index_select(0, at).masked_fill(missing, 0), mask.sizes(), mask.is_coalesced());
}

// ---- products of matrices, of which the first is sparse: a row of the second for each number

static Tensor &plus_product_into(const Tensor &self, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
    Tensor &out)
{
    TORCH_CHECK(a.is_sparse() && !b.is_sparse() && !self.is_sparse(), "addmm: expected a sparse and a dense matrix on \"mps\"");
    TORCH_CHECK(a.dim() == 2 && b.dim() == 2 && a.sparse_dim() == 2 && a.size(1) == b.size(0),
        "addmm: Argument #3 (dense): Expected dim 0 size ", a.size(1), ", got ", b.size(0));
    Tensor indices = a._indices();
    Tensor begun = self.expand({a.size(0), b.size(1)});
    Tensor sum = beta.toComplexDouble() == 0.0 ? at::zeros(begun.sizes(), self.options()) : begun.mul(beta);
    if (a._nnz()) {
        Tensor rows = b.index_select(0, indices.select(0, 1)).mul(a._values().unsqueeze(1));
        sum.index_add_(0, indices.select(0, 0), rows, alpha);
    }
    out.resize_(sum.sizes());
    return out.copy_(sum);
}

static Tensor plus_product(const Tensor &self, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha)
{
    Tensor out = at::empty({0}, b.options());
    return plus_product_into(self, a, b, beta, alpha, out);
}

static Tensor product_of_matrices(const Tensor &a, const Tensor &b)
{
    TORCH_CHECK(a.is_sparse() && !b.is_sparse(), "mm: of a sparse and a dense matrix on \"mps\"");
    return plus_product(at::zeros({}, b.options()), a, b, 0, 1);
}

static Tensor &product_of_matrices_into(const Tensor &a, const Tensor &b, Tensor &out)
{
    return plus_product_into(at::zeros({}, b.options()), a, b, 0, 1, out);
}

static Tensor products_of_matrices(const Tensor &a, const Tensor &b)
{
    TORCH_CHECK(a.is_sparse() && !b.is_sparse() && a.dim() == 3 && b.dim() == 3, "bmm: of sparse and dense matrices on \"mps\"");
    return at::bmm(a.to_dense(), b);
}

// ---- what torch has for all devices

static Tensor to_sparse(const Tensor &self, std::optional<at::Layout> layout, at::OptionalIntArrayRef block,
    std::optional<int64_t> dense_dim)
{
    return self.is_sparse() ? at::native::sparse_coo_to_sparse(self, layout, block, dense_dim)
                            : at::native::dense_to_sparse(self, layout, block, dense_dim);
}

static Tensor to_sparse_dim(const Tensor &self, int64_t dims)
{
    return self.is_sparse() ? at::native::sparse_coo_to_sparse(self, dims) : at::native::dense_to_sparse(self, dims);
}

TORCH_LIBRARY_IMPL(aten, MPS, m)
{
    m.impl("_to_sparse", TORCH_FN(to_sparse));
    m.impl("_to_sparse.sparse_dim", TORCH_FN(to_sparse_dim));
    m.impl("sparse_mask", TORCH_FN(at::native::sparse_mask));
}

#define ABX_EACH(name) \
    m.impl(#name, TORCH_FN(at::native::name##_sparse)); \
    m.impl(#name "_", TORCH_FN(at::native::name##_sparse_)); \
    m.impl(#name ".out", TORCH_FN(at::native::name##_sparse_out))

static void lay_out(torch::Library &m)
{
    m.impl("empty.memory_format", TORCH_FN(at::native::empty_sparse));
    m.impl("empty_like", TORCH_FN(at::native::empty_like_sparse_coo));
    m.impl("zeros.out", TORCH_FN(at::native::zeros_sparse_out));
    m.impl("_sparse_coo_tensor_with_dims", TORCH_FN(at::native::new_with_dims_sparse));
    m.impl("_sparse_coo_tensor_with_dims_and_tensors", TORCH_FN(at::native::new_with_dims_and_tensor_sparse_symint));
    m.impl("sparse_resize_", TORCH_FN(at::native::sparse_resize_));
    m.impl("sparse_resize_and_clear_", TORCH_FN(at::native::sparse_resize_and_clear_));
    m.impl("sparse_dim", TORCH_FN(at::native::sparse_dim_sparse));
    m.impl("dense_dim", TORCH_FN(at::native::dense_dim_sparse));
    m.impl("_nnz", TORCH_FN(at::native::_nnz_sparse));
    m.impl("is_coalesced", TORCH_FN(at::native::is_coalesced_sparse));
    m.impl("_coalesced_", TORCH_FN(at::native::_coalesced_sparse_));
    m.impl("_coalesce", TORCH_FN(coalesced));
    m.impl("_indices", TORCH_FN(at::native::_indices_sparse));
    m.impl("_values", TORCH_FN(at::native::_values_sparse));
    m.impl("indices", TORCH_FN(at::native::indices_sparse));
    m.impl("values", TORCH_FN(at::native::values_sparse));
    m.impl("copy_", TORCH_FN(at::native::copy_sparse_wrapper_));
    m.impl("copy_sparse_to_sparse_", TORCH_FN(at::native::copy_sparse_));
    m.impl("clone", TORCH_FN(at::native::clone_sparse));
    m.impl("zero_", TORCH_FN(at::native::zero_sparse_));
    m.impl("_to_dense", TORCH_FN(at::native::sparse_to_dense));
    m.impl("_to_sparse", TORCH_FN(to_sparse));
    m.impl("_to_sparse.sparse_dim", TORCH_FN(to_sparse_dim));
    m.impl("sparse_mask", TORCH_FN(masked));
    m.impl("permute", TORCH_FN(at::native::permute_sparse_coo));
    m.impl("unsqueeze", TORCH_FN(at::native::unsqueeze_sparse));
    m.impl("narrow_copy", TORCH_FN(at::native::narrow_copy_sparse));
    m.impl("cat", TORCH_FN(at::native::cat_sparse));
    m.impl("_sparse_broadcast_to", TORCH_FN(at::native::sparse_broadcast_to));
}

using Dividing = Tensor(const Tensor &, const Tensor &);
using DividingInPlace = Tensor &(Tensor &, const Tensor &);
using DividingInto = Tensor &(const Tensor &, const Tensor &, Tensor &);

TORCH_LIBRARY_IMPL(aten, SparseMPS, m)
{
    lay_out(m);
    m.impl("add.Tensor", TORCH_FN(at::native::add_sparse));
    m.impl("add_.Tensor", TORCH_FN(at::native::add_sparse_));
    m.impl("add.out", TORCH_FN(add_into));
    m.impl("sub.Tensor", TORCH_FN(at::native::sub_sparse));
    m.impl("sub_.Tensor", TORCH_FN(at::native::sub_sparse_));
    m.impl("sub.out", TORCH_FN(at::native::sub_out_sparse));
    m.impl("mul.Tensor", TORCH_FN(at::native::mul_sparse));
    m.impl("mul_.Tensor", TORCH_FN(at::native::mul_sparse_));
    m.impl("mul.out", TORCH_FN(multiply_into));
    m.impl("div.Tensor", static_cast<Dividing *>(at::native::div_sparse));
    m.impl("div_.Tensor", static_cast<DividingInPlace *>(at::native::div_sparse_));
    m.impl("div.out", static_cast<DividingInto *>(at::native::div_out_sparse_zerodim));
    m.impl("sum", TORCH_FN(at::native::sum_coo));
    m.impl("sum.dim_IntList", TORCH_FN(at::native::sum_sparse_coo));
    m.impl("mm", TORCH_FN(product_of_matrices));
    m.impl("mm.out", TORCH_FN(product_of_matrices_into));
    m.impl("addmm", TORCH_FN(plus_product));
    m.impl("addmm.out", TORCH_FN(plus_product_into));
    m.impl("bmm", TORCH_FN(products_of_matrices));
    m.impl("mv", TORCH_FN(at::native::mv_sparse));
    m.impl("isnan", TORCH_FN(at::native::isnan_sparse));
    m.impl("neg", TORCH_FN(at::native::neg_sparse));
    m.impl("neg_", TORCH_FN(at::native::neg_sparse_));
    m.impl("neg.out", TORCH_FN(at::native::neg_out_sparse));
    m.impl("relu", TORCH_FN(at::native::relu_sparse));
    m.impl("relu_", TORCH_FN(at::native::relu_sparse_));
    ABX_EACH(abs);
    ABX_EACH(sqrt);
    ABX_EACH(sin);
    ABX_EACH(tanh);
}

} // namespace arcbox
