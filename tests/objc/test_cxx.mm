// Objective-C++: exceptions of both languages through frames of both, C++ instance variables.
#import <Foundation/Foundation.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>
#include "../check.h"

static int constructed, destroyed;

struct Tracked {
    int value = 7;
    Tracked()
    {
        constructed++;
    }
    ~Tracked()
    {
        destroyed++;
    }
};

@interface Holder : NSObject {
@public
    Tracked tracked;
    std::string name;
    std::vector<id> objects;
}
@end
@implementation Holder
- (void)throwCxx
{
    Tracked local;
    throw std::runtime_error("from C++");
}
- (void)throwObjc
{
    Tracked local;
    @throw [NSException exceptionWithName:@"Name" reason:@"reason" userInfo:nil];
}
@end

int main()
{
    @autoreleasepool {
        Holder *holder = [Holder new];
        CHECK(constructed == 1 && holder->tracked.value == 7 && holder->name.empty());
        holder->name = "a name long enough that it is not stored in place";
        holder->objects.push_back(@"x");
        int before = destroyed;
        try {
            [holder throwCxx];
            CHECK(0);
        } catch (const std::exception &error) {
            CHECK_TEXT(error.what(), "from C++");
        }
        CHECK(destroyed == before + 1);
        @try {
            [holder throwObjc];
            CHECK(0);
        } @catch (NSException *exception) {
            CHECK_TEXT(exception.reason.UTF8String, "reason");
        }
        CHECK(destroyed == before + 2);
        bool any = false;
        try {
            [holder throwObjc];
        } catch (...) {
            any = true;
        }
        CHECK(any);
        bool passed = false;
        try {
            @try {
                [holder throwCxx];
            } @catch (id object) {
                CHECK(0);
            }
        } catch (const std::runtime_error &) {
            passed = true;
        }
        CHECK(passed);
        before = destroyed;
    }
    CHECK(destroyed == constructed);
    printf("ok\n");
    return 0;
}
