// Systems of linear equations, of floats: what is factored and solved a block at a time, a product between blocks
// being the device's library's. Strides are in elements: of a matrix, a row, a column.
struct parameters {
    long a[3], b[3];
    uint rows, columns, begin, end; // of the factored block: the columns from begin to end
    uint pivots, offset;            // of a matrix; before the block
    uint is_upper, is_unit;
};

// A SIMD-group, which is a threadgroup, a matrix: rows are exchanged so that each divides by the largest of its column.
kernel void factor(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]], device int *pivots [[buffer(2)]],
        device int *info [[buffer(3)]], uint matrix [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    long row = p.a[1], column = p.a[2];
    a += matrix * p.a[0];
    pivots += matrix * p.pivots;
    for (uint k = p.begin; k < p.end; k++) {
        float best = -1;
        uint place = k;
        for (uint i = k + lane; i < p.rows; i += 32) {
            float v = fabs(a[i * row + k * column]);
            if (v > best || isnan(v)) {
                best = isnan(v) ? INFINITY : v;
                place = i;
            }
        }
        float most = simd_max(best);
        place = simd_min(best == most ? place : p.rows - 1);
        if (place != k)
            for (uint j = lane; j < p.columns; j += 32) {
                float v = a[k * row + j * column];
                a[k * row + j * column] = a[place * row + j * column];
                a[place * row + j * column] = v;
            }
        simdgroup_barrier(mem_flags::mem_device);
        float pivot = a[k * row + k * column];
        if (lane == 0) {
            pivots[k] = place + 1;
            if (pivot == 0 && info[matrix] == 0)
                info[matrix] = k + 1;
        }
        float inverse = pivot == 0 ? 1.0f : 1 / pivot;
        for (uint i = k + 1 + lane; i < p.rows; i += 32) {
            float l = a[i * row + k * column] * inverse;
            a[i * row + k * column] = l;
            for (uint j = k + 1; j < p.end; j++)
                a[i * row + j * column] -= l * a[k * row + j * column];
        }
        simdgroup_barrier(mem_flags::mem_device);
    }
}

// A SIMD-group a matrix, which is symmetric: its lower half becomes the factor.
kernel void factor_symmetric(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]],
        device int *info [[buffer(2)]], uint matrix [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    long row = p.a[1], column = p.a[2];
    a += matrix * p.a[0];
    for (uint k = 0; k < p.rows; k++) {
        float square = a[k * row + k * column];
        if (lane == 0 && !(square > 0) && info[matrix] == 0)
            info[matrix] = p.offset + k + 1;
        float root = sqrt(square);
        simdgroup_barrier(mem_flags::mem_device);
        for (uint i = k + lane; i < p.rows; i += 32)
            a[i * row + k * column] = i == k ? root : a[i * row + k * column] / root;
        simdgroup_barrier(mem_flags::mem_device);
        for (uint i = k + 1 + lane; i < p.rows; i += 32) {
            float l = a[i * row + k * column];
            for (uint j = k + 1; j <= i; j++)
                a[i * row + j * column] -= l * a[j * row + k * column];
        }
        simdgroup_barrier(mem_flags::mem_device);
    }
}

// A SIMD-group a matrix of at most SMALL rows, which becomes its inverse (Gauss and Jordan's, in place).
constant int SMALL = 64; // ABX_TORCH_SMALL_MATRIX
kernel void invert(constant parameters &p [[buffer(0)]], device float *a [[buffer(1)]], device int *info [[buffer(2)]],
        uint matrix [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    threadgroup int exchanged[SMALL];
    int n = p.rows, row = p.a[1];
    a += matrix * p.a[0];
    for (int k = 0; k < n; k++) {
        float best = -1;
        int place = k;
        for (int i = k + lane; i < n; i += 32) {
            float v = fabs(a[i * row + k]);
            if (v > best || isnan(v)) {
                best = isnan(v) ? INFINITY : v;
                place = i;
            }
        }
        float most = simd_max(best);
        place = simd_min(best == most ? place : n - 1);
        if (lane == 0)
            exchanged[k] = place;
        float pivot = a[place * row + k], inverse = pivot == 0 ? 1.0f : 1 / pivot;
        if (lane == 0 && pivot == 0 && info[matrix] == 0)
            info[matrix] = k + 1;
        simdgroup_barrier(mem_flags::mem_device);
        for (int j = lane; j < n; j += 32) {
            float v = j == k ? 1.0f : a[place * row + j];
            a[place * row + j] = a[k * row + j];
            a[k * row + j] = v * inverse;
        }
        simdgroup_barrier(mem_flags::mem_device);
        for (int i = 0; i < n; i++) {
            float factor = a[i * row + k];
            simdgroup_barrier(mem_flags::mem_device);
            for (int j = lane; j < n && i != k; j += 32)
                a[i * row + j] = (j == k ? 0.0f : a[i * row + j]) - factor * a[k * row + j];
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
