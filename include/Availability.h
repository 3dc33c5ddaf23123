/* Versions and availability marks. Everything declared is available; a program that asks (@available)
 * is told by the version that the system reports. */
#ifndef __AVAILABILITY__
#define __AVAILABILITY__
#include <arcbox_available.h>
#define __MAC_10_0 1000
#define __MAC_10_5 1050
#define __MAC_10_6 1060
#define __MAC_10_7 1070
#define __MAC_10_8 1080
#define __MAC_10_9 1090
#define __MAC_10_10 101000
#define __MAC_10_11 101100
#define __MAC_10_12 101200
#define __MAC_10_13 101300
#define __MAC_10_14 101400
#define __MAC_10_15 101500
#define __MAC_11_0 110000
#define __MAC_11_1 110100
#define __MAC_11_3 110300
#define __MAC_12_0 120000
#define __MAC_12_1 120100
#define __MAC_12_3 120300
#define __MAC_13_0 130000
#define __MAC_13_3 130300
#define __MAC_14_0 140000
#define __MAC_14_2 140200
#define __MAC_14_4 140400
#define __MAC_15_0 150000
#define __MAC_15_4 150400
#define __IPHONE_8_0 80000
#define __IPHONE_9_0 90000
#define __IPHONE_10_0 100000
#define __IPHONE_11_0 110000
#define __IPHONE_12_0 120000
#define __IPHONE_13_0 130000
#define __IPHONE_14_0 140000
#define __IPHONE_15_0 150000
#define __IPHONE_16_0 160000
#define __IPHONE_17_0 170000
#define __IPHONE_18_0 180000
#define __MAC_OS_X_VERSION_MAX_ALLOWED 150000
#define __MAC_OS_X_VERSION_MIN_REQUIRED 150000
#define API_AVAILABLE(...)
#define API_UNAVAILABLE(...)
#define API_DEPRECATED(...)
#define API_DEPRECATED_WITH_REPLACEMENT(...)
#define API_AVAILABLE_BEGIN(...)
#define API_AVAILABLE_END
#define API_UNAVAILABLE_BEGIN(...)
#define API_UNAVAILABLE_END
#define API_TO_BE_DEPRECATED 100000
#define SPI_AVAILABLE(...)
#define __OSX_AVAILABLE(...)
#define __IOS_AVAILABLE(...)
#define __OSX_AVAILABLE_STARTING(...)
#define __OSX_AVAILABLE_BUT_DEPRECATED(...)
#define __WATCHOS_PROHIBITED
#define __TVOS_PROHIBITED
#endif
