"""What the deployment tests stand on: a Debian tree, a machine booted from it by a real systemd, and a container."""
