#!/bin/sh
# install_one.sh FILE FOLDER NAME: below the prefix, under another name than it was built with.
set -eu
mkdir -p "$MESON_INSTALL_DESTDIR_PREFIX/$2"
cp "$1" "$MESON_INSTALL_DESTDIR_PREFIX/$2/$3"
