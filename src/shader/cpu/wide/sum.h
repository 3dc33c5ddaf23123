/* shader, private: sums over lanes that are computed in memory's order. sum.c finds
 * them, column.c makes the code. Compiler process. */
#ifndef ABX_SHADER_CPU_WIDE_SUM_H
#define ABX_SHADER_CPU_WIDE_SUM_H

#include "shader/cpu/wide/stride.h"

#define SUM_MAX 32u         /* sums of a loop */
#define SUM_MAX_NODES 2048u /* instructions of it */
#define SUM_MAX_TERMS 1024u
#define SUM_MAX_KINDS 2048u

enum { SUM_NONE = -1 };

/* An instruction of the loop. */
struct sum_node {
    LLVMValueRef value;
    bool divergent, has; /* it is made of elements */
    bool inside;         /* it goes into the sums */
    int element;         /* one of those it is made of; SUM_NONE: not known yet */
    unsigned kind;       /* + 1; 0: not known yet */
};

/* What a value is: an operation on kinds (each + 1), an element's place in a column, or a value
 * that is not looked into. Values of one kind are the same function of their columns' elements. */
struct sum_kind {
    LLVMOpcode op;
    LLVMTypeRef type;
    void *leaf;
    unsigned operand[2];
};

/* What is added to a sum: times a factor, which a lane has for all of its elements. */
struct sum_term {
    LLVMValueRef value; /* a multiply-add stands for its product */
    unsigned sum, factor, kind;
    int column; /* SUM_NONE: of no elements */
};

/* A load that waits (wide.strided[], by number). */
struct sum_element {
    bool used;
    int head;       /* the first of its group, which `offset` is from; SUM_NONE: not an element */
    int64_t offset; /* bytes */
    int other;      /* another element of the same column, or itself: leads to the lowest */
    int column;
    unsigned slot; /* among its group's elements in the column */
};

/* Elements of one lane that terms are computed from together: only elements of one column have to
 * be brought into the same place of a register. */
struct sum_column {
    unsigned first, terms; /* of term[] */
    unsigned shape;        /* columns of one shape are made into terms the same way */
    int head;              /* its first group, and where the first element of that lies */
    int64_t offset;
    int number; /* what elements and terms called it before the columns were sorted */
};

struct sums {
    struct wide *w;
    LLVMBasicBlockRef block;
    LLVMValueRef phi[SUM_MAX], next[SUM_MAX]; /* before and after a turn */
    unsigned count;
    struct sum_node node[SUM_MAX_NODES];
    unsigned nodes;
    struct sum_kind kind[SUM_MAX_KINDS];
    unsigned kinds;
    struct sum_term term[SUM_MAX_TERMS]; /* sorted by column */
    unsigned terms;
    struct sum_element element[WIDE_MAX_STRIDED];
    struct sum_column column[WIDE_MAX_STRIDED]; /* sorted by shape, then as they lie in memory */
    unsigned columns, shapes;
    unsigned visits, phi_seen;
    bool failed;
};

struct sum_node *sum_node(struct sums *s, LLVMValueRef v); /* NULL: none of the loop's */
int sum_load(const struct sums *s, LLVMValueRef v);        /* the load's number, or SUM_NONE */
bool sum_elementwise(LLVMValueRef v);

/* How a value is taken apart into terms. */
enum sum_shape { SUM_TERM, SUM_ADD, SUM_SUBTRACT, SUM_NEGATE, SUM_SCALE, SUM_FUSED };
struct sum_parts {
    enum sum_shape shape;
    LLVMValueRef operand[2]; /* SUM_FUSED: what the product is added to */
    LLVMValueRef product[2]; /* SUM_SCALE, SUM_FUSED */
    bool scaled;             /* product[0] has no elements, and product[1] is a sum to take apart */
};
struct sum_parts sum_take_apart(struct sums *s, LLVMValueRef v);
int sum_column_of(struct sums *s, LLVMValueRef term); /* SUM_NONE: of no elements */

/* The code, at the builder's place, which lies at the block's end. */
void sum_emit(struct sums *s);
/* True where that is not dearer than bringing the elements into their lanes. */
bool sum_pays(struct sums *s);

#endif
