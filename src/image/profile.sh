# Read by the shells on the consoles.
export PATH=/sbin:/bin HOME=/root PS1='\h:\w# '
# Some builds of busybox look for their own applets before they look at PATH.
alias poweroff=/sbin/poweroff reboot=/sbin/reboot halt=/sbin/halt
