// Systems of linear equations, of floats: what is factored and solved a block at a time, a product between blocks
// being the device's library's. Strides are in elements: of a matrix, a row, a column.
struct parameters {
    long a[3], b[3];
    uint rows, columns, begin, end; // of the factored block: the columns from begin to end
    uint pivots, offset;            // of a matrix; before the block
    uint is_upper, is_unit;
};

// Where a matrix is a SIMD-group's, which is a threadgroup, its columns lie side by side, and lanes are columns: what
// all have of a row is loaded once.

// The largest of column k from row k on, and its row.
static inline int find_pivot(device const float *a, long row, int rows, int k, int lane)
{
    float best = -1;
    int place = k;
    for (int i = k + lane; i < rows; i += 32) {
        float v = fabs(a[i * row + k]);
        if (v > best || isnan(v)) {
            best = isnan(v) ? INFINITY : v;
            place = i;
        }
    }
    float most = simd_max(best);
    return simd_min(best == most ? place : rows - 1);
}

// Rows are exchanged so that each divides by the largest of its column. At most 32 columns.
kernel void factor(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]], device int *pivots [[buffer(2)]],
        device int *info [[buffer(3)]], uint matrix [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_simdgroup]])
{
    long row = p.a[1];
    int rows = p.rows, lane = thread_index;
    a += matrix * p.a[0];
    pivots += matrix * p.pivots;
    for (int k = p.begin; k < int(p.end); k++) {
        int place = find_pivot(a, row, rows, k, lane);
        device float *top = a + k * row, *other = a + place * row;
        if (place != k)
            for (int j = lane; j < int(p.columns); j += 32) {
                float v = top[j];
                top[j] = other[j];
                other[j] = v;
            }
        simdgroup_barrier(mem_flags::mem_device);
        float pivot = a[k * row + k], inverse = pivot == 0 ? 1.0f : 1 / pivot;
        if (lane == 0) {
            pivots[k] = place + 1;
            if (pivot == 0 && info[matrix] == 0)
                info[matrix] = k + 1;
        }
        bool inside = k + lane < int(p.end);
        float above = inside ? top[k + lane] : 0.0f;
        for (int i = k + 1; i < rows; i++) {
            device float *line = a + i * row + k;
            float l = line[0] * inverse;
            simdgroup_barrier(mem_flags::mem_device);
            if (inside) {
                float v = line[lane] - l * above;
                line[lane] = lane == 0 ? l : v;
            }
        }
        simdgroup_barrier(mem_flags::mem_device);
    }
}

// Symmetric matrices of at most SMALL rows: the lower half becomes the factor.
constant int SMALL = 64; // ABX_TORCH_SMALL_MATRIX
kernel void factor_symmetric(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]],
        device int *info [[buffer(2)]], uint matrix [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_simdgroup]])
{
    long row = p.a[1];
    int n = p.rows, lane = thread_index;
    a += matrix * p.a[0];
    for (int k = 0; k < n; k++) {
        float square = a[k * row + k], root = sqrt(square);
        if (lane == 0 && !(square > 0) && info[matrix] == 0)
            info[matrix] = p.offset + k + 1;
        simdgroup_barrier(mem_flags::mem_device);
        if (lane == 0)
            a[k * row + k] = root;
        int first = k + 1 + lane, second = first + 32;
        float left = 0, right = 0; // of the rows that these are, what column k has
        if (first < n)
            a[first * row + k] = left = a[first * row + k] / root;
        if (n > 32 && second < n)
            a[second * row + k] = right = a[second * row + k] / root;
        simdgroup_barrier(mem_flags::mem_device);
        for (int i = k + 1; i < n; i++) {
            device float *line = a + i * row + k;
            float l = line[0];
            if (first <= i)
                line[lane + 1] -= l * left;
            if (i > k + 32 && second <= i)
                line[lane + 33] -= l * right;
        }
        simdgroup_barrier(mem_flags::mem_device);
    }
}

// Matrices of at most SMALL rows become their inverses (Gauss and Jordan's, in place).
kernel void invert(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]], device int *info [[buffer(2)]],
        uint matrix [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_simdgroup]])
{
    threadgroup int exchanged[SMALL];
    long row = p.a[1];
    int n = p.rows, lane = thread_index;
    bool first = lane < n, second = lane + 32 < n;
    a += matrix * p.a[0];
    for (int k = 0; k < n; k++) {
        int place = find_pivot(a, row, n, k, lane);
        float pivot = a[place * row + k], inverse = pivot == 0 ? 1.0f : 1 / pivot;
        if (lane == 0)
            exchanged[k] = place;
        if (lane == 0 && pivot == 0 && info[matrix] == 0)
            info[matrix] = k + 1;
        simdgroup_barrier(mem_flags::mem_device);
        float left = 0, right = 0;
        device float *top = a + k * row, *other = a + place * row;
        if (first) {
            float v = other[lane];
            left = (lane == k ? 1.0f : v) * inverse;
            other[lane] = top[lane];
            top[lane] = left;
        }
        if (n > 32 && second) {
            float v = other[lane + 32];
            right = (lane + 32 == k ? 1.0f : v) * inverse;
            other[lane + 32] = top[lane + 32];
            top[lane + 32] = right;
        }
        simdgroup_barrier(mem_flags::mem_device);
        for (int i = 0; i < n; i++) {
            device float *line = a + i * row;
            float factor = line[k];
            simdgroup_barrier(mem_flags::mem_device);
            if (i != k && first) {
                float v = line[lane];
                line[lane] = (lane == k ? 0.0f : v) - factor * left;
            }
            if (n > 32 && i != k && second) {
                float v = line[lane + 32];
                line[lane + 32] = (lane + 32 == k ? 0.0f : v) - factor * right;
            }
        }
        simdgroup_barrier(mem_flags::mem_device);
    }
    for (int k = n - 1; k >= 0; k--)
        for (int i = lane; i < n && exchanged[k] != k; i += 32) {
            float v = a[i * row + k];
            a[i * row + k] = a[i * row + exchanged[k]];
            a[i * row + exchanged[k]] = v;
        }
}

// A thread for each column of b, which becomes the solution.
kernel void solve(constant parameters &p [[buffer(0)]], device float *b [[buffer(1)]], device const float *a [[buffer(2)]],
        uint2 at [[thread_position_in_grid]])
{
    a += at.y * p.a[0];
    b += at.y * p.b[0] + at.x * p.b[2];
    for (uint n = 0; n < p.rows; n++) {
        uint i = p.is_upper ? p.rows - 1 - n : n;
        float v = b[i * p.b[1]];
        for (uint m = 0; m < n; m++) {
            uint j = p.is_upper ? p.rows - 1 - m : m;
            v -= a[i * p.a[1] + j * p.a[2]] * b[j * p.b[1]];
        }
        b[i * p.b[1]] = p.is_unit ? v : v / a[i * p.a[1] + i * p.a[2]];
    }
}

// Rows of b exchanged as the factors' were, or (is_upper) back.
kernel void exchange(constant parameters &p [[buffer(0)]], device float *b [[buffer(1)]], device const int *pivots [[buffer(2)]],
        uint2 at [[thread_position_in_grid]])
{
    b += at.y * p.b[0] + at.x * p.b[2];
    for (uint n = 0; n < p.pivots; n++) {
        uint i = p.is_upper ? p.pivots - 1 - n : n, k = uint(clamp(pivots[at.y * p.pivots + i] - 1, 0, int(p.rows) - 1));
        float v = b[i * p.b[1]];
        b[i * p.b[1]] = b[k * p.b[1]];
        b[k * p.b[1]] = v;
    }
}
