/* What both files have: the same names in each, as of one program. */
struct pair {
    float a, b;
};

constant float by = BY;

float product(pair p)
{
    return p.a * p.b * by;
}
