#version 460
#extension GL_KHR_shader_subgroup_arithmetic : enable
#extension GL_KHR_shader_subgroup_ballot : enable
#extension GL_KHR_shader_subgroup_vote : enable
#extension GL_KHR_shader_subgroup_shuffle : enable
#extension GL_KHR_shader_subgroup_shuffle_relative : enable
#extension GL_KHR_shader_subgroup_quad : enable
layout(local_size_x = 32) in;
layout(std430, binding = 0) readonly buffer Given { uint given[8]; };
layout(std430, binding = 1) buffer Ok { uint ok[]; };
void check(uint i, bool c) { ok[i] = c ? 1u : 2u; }
void main() {
    uint lane = gl_SubgroupInvocationID, v = lane + given[6];
    uint sum = subgroupAdd(v), product = subgroupMul(lane < 3u ? 2u : 1u), most = subgroupMax(v), least = subgroupMin(v);
    uint before = subgroupExclusiveAdd(1u), upto = subgroupInclusiveAdd(1u); float fs = subgroupInclusiveAdd(float(lane));
    uint first = subgroupBroadcastFirst(v), fifth = subgroupBroadcast(v, 5u); uvec4 b = subgroupBallot(lane < 4u);
    uint ands = subgroupAnd(v | 1u), ors = subgroupOr(1u << lane), xors = subgroupXor(lane);
    uint up = subgroupShuffleUp(v, 1u), down = subgroupShuffleDown(v, 1u), x = subgroupShuffleXor(v, 1u), s = subgroupShuffle(v, 31u - lane);
    bool every = subgroupAll(v > 2u), some = subgroupAny(v == 4u), equal = subgroupAllEqual(given[6]), elected = subgroupElect();
    uint q = subgroupQuadBroadcast(v, 2u), qx = subgroupQuadSwapHorizontal(v), qy = subgroupQuadSwapVertical(v), qd = subgroupQuadSwapDiagonal(v);
    uint count = subgroupBallotBitCount(b), upto_b = subgroupBallotInclusiveBitCount(b), lsb = subgroupBallotFindLSB(b), msb = subgroupBallotFindMSB(b); bool mine = subgroupInverseBallot(b), bit = subgroupBallotBitExtract(b, 3u);
    subgroupBarrier(); subgroupMemoryBarrier();
    if (lane == 6u) {
        check(0, gl_SubgroupSize == 32u && sum == 592u && product == 8u && gl_NumSubgroups == 1u && gl_SubgroupID == 0u);
        check(1, most == 34u && least == 3u && before == 6u && upto == 7u && fs == 21.0);
        check(2, first == 3u && fifth == 8u && b == uvec4(15u, 0u, 0u, 0u));
        check(3, ands == 1u && ors == ~0u && xors == 0u);
        check(4, up == 8u && down == 10u && x == 10u && s == 28u);
        check(5, every && some && equal && !elected);
        check(6, q == 9u && qx == 10u && qy == 7u && qd == 8u);
        check(7, count == 4u && upto_b == 4u && lsb == 0u && msb == 3u && !mine && bit);
        check(8, (gl_SubgroupEqMask.x == 1u << 6) && (gl_SubgroupLtMask.x == 63u) && (gl_SubgroupGeMask.x == ~63u));
        for (uint k = 9u; k < 32u; k++) check(k, true);
    }
}
