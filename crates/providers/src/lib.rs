//! Stages that do the work: the embedded native ones and the network adapters, a file each.
