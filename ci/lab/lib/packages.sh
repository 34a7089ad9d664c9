# Debian packages as the content of an image: downloaded with what they need, and only unpacked.
# No maintainer script runs, so what those would have done and an image needs is done here.
# shellcheck shell=bash

# A shell and the small programs that charts and entry points expect beside it.
userland=(base-files base-passwd bash dash coreutils findutils grep sed mawk tar gzip hostname util-linux libc-bin)

# Wanted by maintainer scripts only.
left_out='adduser|debconf|dpkg|init-system-helpers|passwd|perl.*|libperl.*|.*-perl|libgdbm.*|libdb5.3|ssl-cert|ucf|usr-?is-?merged|usrmerge|gcc-12-base'

# A day-old list may name packages that the mirror has replaced since.
refresh_package_lists() {
  [[ -z $(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -720 2>/dev/null) ]] || return 0
  apt-get update
}

# download FOLDER PACKAGE…: the packages and all they depend on, as if nothing were installed.
download() {
  local folder=$1
  shift
  mkdir -p "$folder/partial"
  : >"$folder/status"
  refresh_package_lists
  # usr-is-merged spares us the alternative, which drags in all of perl.
  apt-get install --download-only --yes --no-install-recommends \
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
    -o Dir::State::status="$folder/status" -o Dir::Cache::archives="$folder" \
    "$@" usr-is-merged
}

# Debian's layout has /bin, /sbin and /lib below /usr; the packages still disagree about it.
merge_usr() {
  local name
  for name in bin sbin lib lib64; do
    mkdir -p "$1/usr/$name"
    ln -sfn "usr/$name" "$1/$name"
  done
}

# debian_tree TREE LEFT-OUT PACKAGE…: fills TREE; LEFT-OUT is an extended regular expression of further packages to skip.
debian_tree() {
  local tree=$1 skipped="^($left_out|$2)_" archives=$1.archives archive
  shift 2
  rm -rf "$tree" "$archives"
  download "$archives" "$@"
  merge_usr "$tree"
  for archive in "$archives"/*.deb; do
    [[ ! $(basename "$archive") =~ $skipped ]] || continue
    dpkg-deb --fsys-tarfile "$archive" | tar --extract --keep-directory-symlink --directory "$tree"
  done
  # gconv converts between character sets that nothing here speaks.
  rm -rf "$archives" "$tree"/usr/share/{doc,doc-base,info,lintian,locale,man,bug} "$tree"/usr/lib/*/gconv
  finish_tree "$tree"
}

# What the maintainer scripts of the userland would have left behind.
finish_tree() {
  local tree=$1 file
  mkdir -p "$tree"/{etc,tmp,run,proc,sys,dev,root}
  chmod 1777 "$tree/tmp"
  for file in passwd group; do
    [[ ! -f $tree/usr/share/base-passwd/$file.master ]] ||
      cp "$tree/usr/share/base-passwd/$file.master" "$tree/etc/$file"
  done
  ln -sfn dash "$tree/usr/bin/sh"
  ln -sfn mawk "$tree/usr/bin/awk"
  [[ -e $tree/etc/nsswitch.conf ]] || echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
  ldconfig -r "$tree"
}

# add_user TREE NAME ID HOME: with a group of the same name and number.
add_user() {
  echo "$2:x:$3:$3::$4:/bin/bash" >>"$1/etc/passwd"
  echo "$2:x:$3:" >>"$1/etc/group"
}

# copy_with_libraries TREE TARGET PROGRAM…: programs of TREE and the libraries they load, for a smaller image.
copy_with_libraries() {
  local tree=$1 target=$2 program file
  shift 2
  merge_usr "$target"
  for program in "$@"; do
    {
      echo "$program"
      chroot "$tree" ldd "$program" | grep -oE '/[^ ]+' | grep -v ':$'
    } | while read -r file; do
      install -D "$tree$file" "$target$file"
    done
  done
}
