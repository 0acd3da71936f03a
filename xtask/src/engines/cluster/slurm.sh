# Slurm on a node: the controller on the first, a slurmd on all. Its words for containers are those of runc's command line.
# $1: the node's number, $2: the directory of cgroups
set -e
mkdir -p /etc/slurm /var/spool/slurmd /var/spool/slurmctld /run/munge /run/slurm
cp /share/munge.key /etc/munge/munge.key
chown munge: /etc/munge /etc/munge/munge.key /run/munge /var/log/munge /var/lib/munge
chmod 700 /etc/munge /var/log/munge /var/lib/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
setpriv --reuid munge --regid munge --clear-groups munged
cat > /etc/slurm/slurm.conf << END
ClusterName=c
SlurmctldHost=node1(10.77.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
KillWait=3
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmctldLogFile=/share/logs/slurmctld.log
SlurmdLogFile=/share/logs/slurmd%h.log
NodeName=node[1-3] CPUs=2 State=UNKNOWN
PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE OverTimeLimit=0 State=UP
END
# Not RunTimeCreate: this version waits for the end of what create has on its stdout, which is the container's, of runc's too.
runtime="/share/runtime --root=/run/seclude-oci-%u"
id=%n.%u.%j.%s.%t
cat > /etc/slurm/oci.conf << END
RunTimeQuery="$runtime state $id"
RunTimeRun="$runtime run --bundle %b $id"
RunTimeKill="$runtime kill $id"
RunTimeDelete="$runtime delete --force $id"
END
if [ "$1" = 1 ]; then slurmctld; fi
slurmd -N "node$1"
